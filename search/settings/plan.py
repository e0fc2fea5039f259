"""The tables of a study file, with the meaning and default of each key."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from search import defaults
from search.data import DataSettings

UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> object:
    """Convert `90`, `90s`, `30m`, `2h` or `1d` to seconds; raise ValueError on other text."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    if match is None:
        raise ValueError("Expected a duration such as 90s, 30m or 2h")
    return float(match[1]) * UNITS_S[match[2]]


def refuse_bool(value: object) -> object:
    """Return a value that is not true or false, which would count as 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("Expected a number")  # noqa: TRY004
    return value


def check_line(text: str) -> str:
    """Return a text without line ends, tabs and other control characters."""
    if not text.isprintable():
        raise ValueError("Expected a text of one line, without control characters")
    return text


Number = Annotated[float, BeforeValidator(refuse_bool), Field(allow_inf_nan=False)]
Duration = Annotated[Number, BeforeValidator(parse_duration), Field(gt=0)]
Count = Annotated[int, Field(ge=1, strict=True)]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of a study file, immutable and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _key(default: Any, description: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, **bounds)


class TrainingSettings(Table):
    """How each trial is trained."""

    max_epochs: Count = _key(defaults.MAX_EPOCHS, "Maximum number of epochs of one trial.")
    patience: Count = _key(
        defaults.PATIENCE,
        "Epochs without a better validation accuracy before training stops early.",
    )
    plateau_patience: Count = _key(
        defaults.PLATEAU_PATIENCE,
        "Epochs without a lower validation loss before the learning rate is reduced.",
    )
    plateau_factor: Number = _key(
        defaults.PLATEAU_FACTOR, "Factor of such a reduction of the learning rate.", gt=0, lt=1
    )
    min_learning_rate: Number = _key(
        defaults.MIN_LEARNING_RATE, "The learning rate is not reduced below this.", ge=0
    )
    trial_timeout: Duration | None = _key(None, "Maximum time of one trial; no limit by default.")
    silence_timeout: Duration | None = _key(
        None,
        "A trainer that is silent for longer counts as hung. By default ten times the study's "
        "longest epoch, and at least two minutes.",
    )

    def rules(self) -> dict[str, Any]:
        """Return the settings that affect the value of a trial that is not timed out."""
        return self.model_dump(exclude={"trial_timeout", "silence_timeout"})


class SearchSettings(Table):
    """How configs are proposed, and which are refused or stopped early."""

    sampler: Literal["tpe", "random"] = _key(defaults.SAMPLER, "Proposes configs.")
    pruner: str = _key(
        defaults.PRUNER,
        "Stops poor trials early: `auto`, `none`, or one of Optuna's pruners by name.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = _key(
        defaults.SEED,
        "Seed of proposals and training; with one worker, one seed gives one result.",
    )
    family_trials: Count | None = _key(
        None,
        "Trials that each of several families gets before the search picks among them. By default "
        "0.4 of the budget in even parts, from 2 to 6.",
    )
    max_parameters: Count | None = _key(
        None,
        f"A network with more parameters is not built; {defaults.MAX_PARAMETERS:,} by default.",
    )
    max_memory: Number | None = _key(
        None,
        "Predicted megabytes of training; a network that needs more is not built. By default each "
        "worker's share of the machine's memory.",
        gt=0,
    )
    max_operations: Number | None = _key(
        None,
        "Millions of floating-point operations of one image's forward pass. By default 150 at "
        "32×32 pixels and in proportion to the area: up to half a minute an epoch of 2,000 images "
        "on one core.",
        gt=0,
    )


class TransferSettings(Table):
    """Images and weights of pretrained backbones."""

    image_size: Annotated[int, Field(ge=32, le=512, strict=True)] = _key(
        defaults.TRANSFER_IMAGE_SIZE,
        "Side of their images in pixels, prepared from the originals.",
    )
    weights: Text = _key(
        defaults.WEIGHTS,
        "`imagenet` (Keras' own download and cache), `none` (random ones), or the path of a "
        "`.weights.h5` of one backbone.",
    )
    weights_mode: Literal["torch", "tf", "caffe"] | None = _key(
        None,
        "How pixels are scaled for the weights of a file; by default as for Keras' own weights of "
        "the backbone.",
    )


class BudgetSettings(Table):
    """What a study may spend: trials that count, time with a worker at work, or both."""

    trials: Count | None = _key(
        None, f"Trials to run; {defaults.N_TRIALS} where there is no `timeout` either."
    )
    timeout: Duration | None = _key(
        None, "How long to search: the time in which a worker is at work."
    )


class StudyTable(Table):
    """The study's name, its priority, its first trials, and the local workers that serve it."""

    name: Annotated[Text, Field(max_length=200), AfterValidator(check_line)] | None = _key(
        None, "Name of the study; the source's stem by default."
    )
    priority: Annotated[int, Field(ge=-1000, le=1000, strict=True)] | None = _key(
        None,
        "Standing workers serve studies of a higher priority first. "
        f"{defaults.PRIORITY} by default; a resumed study keeps its own.",
    )
    workers: Count | Literal["auto"] = _key(
        defaults.WORKERS,
        "How many local workers; `auto` is `trainers_per_gpu` for each GPU, or one for each core.",
    )
    gpus: Text = _key(
        defaults.GPUS,
        "`auto` (all there are), `none`, or GPUs as `nvidia-smi -L` counts them: `0,1`.",
    )
    trainers_per_gpu: Count = _key(defaults.TRAINERS_PER_GPU, "How many workers share a GPU.")
    warm_start: Text | None = _key(None, "An earlier study, whose best configs are tried first.")
    warm_start_store: str | None = _key(None, "The store of that study, if it is another one.")
    warm_start_trials: Count = _key(
        defaults.WARM_START_TRIALS, "How many of its configs are tried."
    )


class StoreTable(Table):
    """Where results go."""

    url: str | None = _key(
        None, "By default `$CONVSEARCH_STORE`, or a SQLite file in the current folder."
    )
    artifacts: str | None = _key(
        None,
        "Where files go that are too large for the store's tables: a folder, `database`, or "
        "s3://BUCKET/PREFIX. By default a folder beside a SQLite file, and a server's database.",
    )
    max_files_mb: Count = _key(
        defaults.MAX_FILES_MB, "Maximum size of files in the database, in megabytes."
    )


class StudyPlan(Table):
    """All settings of a study, with defaults filled in; `space` is the table as written."""

    study: StudyTable = StudyTable()
    data: DataSettings
    space: dict[str, Any] = Field(default_factory=dict)
    training: TrainingSettings = TrainingSettings()
    search: SearchSettings = SearchSettings()
    transfer: TransferSettings = TransferSettings()
    budget: BudgetSettings = BudgetSettings()
    store: StoreTable = StoreTable()


TABLES: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in StudyPlan.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
"""The tables of a study file except `[space]`, whose keys `spaces` defines."""
