"""What worker and trainer say to each other: one JSON object a line.

The worker sends a `Task`, the trainer answers with one `Epoch` after another and waits for the
verdict on each; it ends with `Finished`, `Unfit` or `Failed`. To `Evaluate` it answers with
`Evaluated`, to `Predict` with `Predicted`, to both with `Unfit` or `Failed` where that cannot be.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from storage import EpochRow

Decision = Literal["go_on", "stop"]
Confusion = tuple[tuple[int, ...], ...]
"""How often the images of each true class, a row, were taken for each class, a column."""


@dataclass(frozen=True, slots=True)
class Task:
    """One trial to train.

    `config` is the record of a `spaces.Config`, `data` the path of the prepared set with its
    `fingerprint`. `checkpoint` is where to save after each epoch, empty for nowhere, and
    `resume_from` the file to go on from, by default the same, if one is there. `max_epochs`
    bounds each phase. `modules` are the records of the modules of users' families. For transfer,
    `weights` is the record of `spaces.models.Weights`, and `features` the folder of computed
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
    """The trainer computes features, or predicts: it has done so many images of so many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the worker's log should say."""

    text: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The trial goes on from a checkpoint that holds these epochs; the trainer waits as well.

    `confusion` is that of the best of them on validation, empty where it is not known.
    """

    rows: tuple[EpochRow, ...]
    confusion: Confusion = ()


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch is trained and validated; the trainer waits for the verdict.

    It is saved as well, unless `save_error` says why not. `confusion` is that of the best epoch so
    far on validation.
    """

    row: EpochRow
    save_error: str = ""
    confusion: Confusion = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial was trained to its end; `value` is the best epoch's validation accuracy."""

    value: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unfit:
    """The network cannot be trained as it is: NaN, or more memory than there is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An exception of ours; `traceback` has its text."""

    reason: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """A trained network to build again with the best weights of its checkpoint.

    `predictions` is the file that its answers on the images of `split` go to, as `predictions`
    writes them; `model` the `.keras` file that it is saved as. Either may be empty.
    """

    task: Task
    split: str = ""
    predictions: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The network was built again; its files are written unless `write_error` says why not."""

    n_images: int
    write_error: str = ""


@dataclass(frozen=True, slots=True)
class Predict:
    """Images that an exported model is to answer on.

    `model` is its `.keras` file, which was found safe to load. `images` is the safetensors file
    with the raw pixels, uint8 `(n, height, width, channels)`, under `images`. `predictions` is
    the one
    that the class probabilities go to, float64 `(n, n_classes)`, under `probabilities`.
    """

    model: str
    images: str
    predictions: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """The answers are written."""

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
