"""The messages between worker and trainer: one JSON object a line.

The worker sends a `Task`; the trainer sends an `Epoch` after each epoch, waits for the decision on
it, and ends with `Finished`, `Unfit` or `Failed`. It answers `Evaluate` with `Evaluated` and
`Predict` with `Predicted`, or with `Unfit` or `Failed`.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from storage import EpochRow

Decision = Literal["go_on", "stop"]
Confusion = tuple[tuple[int, ...], ...]
"""Counts of images: a row for each true class, a column for each predicted one; may be empty."""


@dataclass(frozen=True, slots=True)
class Task:
    """One trial to train."""

    config: dict[str, Any]  # The record of a `spaces.Config`.
    data: str  # The path of the prepared set with this fingerprint.
    fingerprint: str
    checkpoint: str  # The file to save after each epoch; empty for none.
    seed: int
    max_epochs: int  # Of each phase.
    patience: int
    plateau_patience: int
    plateau_factor: float
    min_learning_rate: float
    resume_from: str = ""  # The file to resume from, if it exists; by default `checkpoint`.
    modules: tuple[dict[str, str], ...] = ()  # The records of the modules of users' families.
    weights: dict[str, Any] | None = None  # For transfer, the record of `spaces.models.Weights`.
    features: str = ""  # For transfer, the folder of cached features.


@dataclass(frozen=True, slots=True)
class Ready:
    """The trainer has loaded TensorFlow; `memory_mb` is its resident memory."""

    memory_mb: float


@dataclass(frozen=True, slots=True)
class Busy:
    """The trainer computes features, or predicts: `done` images of `total`."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Note:
    """A warning for the worker's log."""

    text: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The trial resumes from a checkpoint with these epochs; the trainer waits for a decision."""

    rows: tuple[EpochRow, ...]
    confusion: Confusion = ()  # Of the best of them, on validation.


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch was trained and validated; the trainer waits for the decision."""

    row: EpochRow
    save_error: str = ""  # Why it was not saved; empty if it was.
    confusion: Confusion = ()  # Of the best epoch so far, on validation.


@dataclass(frozen=True, slots=True)
class Finished:
    """The training has ended; `value` is the best epoch's validation accuracy."""

    value: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unfit:
    """The network cannot be trained: its loss became NaN, or memory does not suffice."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The trainer raised an exception; `traceback` is its text."""

    reason: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Rebuild a trained network with the best weights of its checkpoint."""

    task: Task
    split: str = ""
    predictions: str = ""  # The file for its `SplitPredictions` on `split`; empty for none.
    model: str = ""  # The `.keras` file to save it as; empty for none.


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The network was rebuilt; its files are written unless `write_error` says why not."""

    n_images: int
    write_error: str = ""


@dataclass(frozen=True, slots=True)
class Predict:
    """Predict images with an exported model; the other two files are in safetensors format."""

    model: str  # A `.keras` file that was found safe to load.
    images: str  # Raw pixels, uint8 `(n, height, width, channels)`, under `images`.
    predictions: str  # Probabilities, float64 `(n, n_classes)`, under `probabilities`.


@dataclass(frozen=True, slots=True)
class Predicted:
    """The predictions are written."""

    n_images: int


Message = (
    Evaluate
    | Evaluated
    | Predict
    | Predicted
    | Task
    | Ready
    | Busy
    | Note
    | Resumed
    | Epoch
    | Finished
    | Unfit
    | Failed
)
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> str:
    """Return a message as one line."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}) + "\n"


def decode(line: str) -> Message:
    """Read what `encode` wrote.

    Raises:
        ValueError: If the line is no message.
    """
    try:
        values = json.loads(line)
        kind = KINDS[values.pop("kind")]
        if kind is Epoch:
            values["row"] = EpochRow(**values["row"])
        elif kind is Evaluate:
            values["task"] = Task(**values["task"])
        elif kind is Resumed:
            values["rows"] = tuple(EpochRow(**row) for row in values["rows"])
        if "confusion" in values:
            values["confusion"] = tuple(map(tuple, values["confusion"]))
        message: Message = kind(**values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"Expected a message. Received: {line[:200]!r}") from error
    return message
