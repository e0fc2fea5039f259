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
"""Counts of images by true class, a row, and predicted class, a column."""


@dataclass(frozen=True, slots=True)
class Task:
    """One trial to train.

    `config` is the record of a `spaces.Config`, `data` the path of the prepared set with its
    `fingerprint`. `checkpoint` is the file to save after each epoch, empty for none, and
    `resume_from` the file to resume from, by default the same, if it exists. `max_epochs` applies
    to each phase. `modules` are the records of the modules of users' families. For transfer,
    `weights` is the record of `spaces.models.Weights`, and `features` the folder of cached
    features.
    """

    config: dict[str, Any]
    data: str
    fingerprint: str
    checkpoint: str
    seed: int
    max_epochs: int
    patience: int
    plateau_patience: int
    plateau_factor: float
    min_learning_rate: float
    resume_from: str = ""
    modules: tuple[dict[str, str], ...] = ()
    weights: dict[str, Any] | None = None
    features: str = ""


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
    """The trial resumes from a checkpoint with these epochs; the trainer waits for a decision.

    `confusion` is that of the best of them on validation, empty if it is unknown.
    """

    rows: tuple[EpochRow, ...]
    confusion: Confusion = ()


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch was trained and validated; the trainer waits for the decision.

    It was saved as well, unless `save_error` says why not. `confusion` is that of the best epoch
    so far on validation.
    """

    row: EpochRow
    save_error: str = ""
    confusion: Confusion = ()


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
    """Rebuild a trained network with the best weights of its checkpoint.

    `predictions` is the file for its predictions on `split`, as `SplitPredictions` writes them;
    `model` the `.keras` file to save it as. Either may be empty.
    """

    task: Task
    split: str = ""
    predictions: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The network was rebuilt; its files are written unless `write_error` says why not."""

    n_images: int
    write_error: str = ""


@dataclass(frozen=True, slots=True)
class Predict:
    """Predict images with an exported model.

    `model` is its `.keras` file, which was found safe to load. `images` is a safetensors file
    with raw pixels, uint8 `(n, height, width, channels)`, under `images`. `predictions` is the
    one for the class probabilities, float64 `(n, n_classes)`, under `probabilities`.
    """

    model: str
    images: str
    predictions: str


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
