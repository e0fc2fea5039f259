"""The settings of a study: the tables of a study file, with meaning and default of each key."""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from search import defaults
from search.data import DataSettings

UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> object:
    """Turn `90`, `90s`, `30m`, `2h` or `1d` into seconds; other text into an error.

    Raises:
        ValueError: If the text is no duration.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    if match is None:
        raise ValueError("Expected a duration such as 90s, 30m or 2h")
    return float(match[1]) * UNITS_S[match[2]]


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]


class Table(BaseModel):
    """A table of a study file: values only, and no keys but the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingSettings(Table):
    """How each trial is trained."""

    max_epochs: Count = Field(
        default=defaults.MAX_EPOCHS, description="The most epochs of one trial."
    )
    patience: Count = Field(
        default=defaults.PATIENCE,
        description="Epochs without a better validation accuracy before training stops early.",
    )
    plateau_patience: Count = Field(
        default=defaults.PLATEAU_PATIENCE,
        description="Epochs without a lower validation loss before the learning rate is reduced.",
    )
    plateau_factor: float = Field(
        default=defaults.PLATEAU_FACTOR,
        gt=0,
        lt=1,
        description="Factor by which the learning rate is then multiplied.",
    )
    min_learning_rate: float = Field(
        default=defaults.MIN_LEARNING_RATE,
        ge=0,
        description="The learning rate is not reduced below this.",
    )
    trial_timeout: Duration | None = Field(
        default=None, description="The most time of one trial; no limit by default."
    )
    silence_timeout: Duration | None = Field(
        default=None,
        description="A trainer that is silent for longer counts as hung. By default ten times the "
        "study's longest epoch, and at least two minutes.",
    )


class SearchSettings(Table):
    """How configs are proposed, and which are refused or stopped early."""

    sampler: Literal["tpe", "random"] = Field(
        default=defaults.SAMPLER, description="Proposes configs."
    )
    pruner: str = Field(
        default=defaults.PRUNER,
        description="Stops poor trials early: `auto`, `none`, or one of Optuna's pruners by name.",
    )
    seed: int = Field(
        default=defaults.SEED,
        ge=0,
        lt=2**31,
        strict=True,
        description="Seed of proposals and training; with one worker, one seed gives one result.",
    )
    family_trials: Count | None = Field(
        default=None,
        description="Trials that each of several families gets before the search picks among "
        "them. By default 0.4 of the budget in even parts, from 2 to 6.",
    )
    max_parameters: Count | None = Field(
        default=None,
        description="A network with more parameters is not built; "
        f"{defaults.MAX_PARAMETERS:,} by default.",
    )
    max_memory: float | None = Field(
        default=None,
        gt=0,
        description="Predicted megabytes of training; a network that needs more is not built. "
        "By default each worker's share of the machine's memory.",
    )
    max_operations: float | None = Field(
        default=None,
        gt=0,
        description="Millions of floating-point operations of one image's forward pass. By "
        "default 150 at 32×32 pixels and in proportion to the area: up to half a minute an epoch "
        "of 2,000 images on one core.",
    )


class TransferSettings(Table):
    """What pretrained backbones are given."""

    image_size: int = Field(
        default=defaults.TRANSFER_IMAGE_SIZE,
        ge=32,
        le=512,
        strict=True,
        description="Side of their images in pixels, prepared from the originals.",
    )
    weights: str = Field(
        default=defaults.WEIGHTS,
        min_length=1,
        description="`imagenet` (Keras' own download and cache), `none` (random ones), or the "
        "path of a `.weights.h5` of one backbone.",
    )
    weights_mode: Literal["torch", "tf", "caffe"] | None = Field(
        default=None,
        description="How pixels are scaled for the weights of a file; by default as for Keras' "
        "own weights of the backbone.",
    )


class BudgetSettings(Table):
    """What a study may spend: trials that count, time with a worker at work, or both.

    Attributes:
        trials: The number of trials that count; 30 where there is no timeout either.
        timeout: The time in which at least one worker is at work, as `30m`.
    """

    trials: Count | None = Field(
        default=None,
        description=f"Trials to run; {defaults.N_TRIALS} where there is no `timeout` either.",
    )
    timeout: Duration | None = Field(
        default=None, description="How long to search: the time in which a worker is at work."
    )


class StudyTable(Table):
    """The study's name, its priority, its first trials, and the local workers that serve it."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Name of the study; the source's stem by default.",
    )
    priority: int | None = Field(
        default=None,
        ge=-1000,
        le=1000,
        strict=True,
        description="Standing workers serve studies of a higher priority first. "
        f"{defaults.PRIORITY} by default; a resumed study keeps its own.",
    )
    workers: Count | Literal["auto"] = Field(
        default=defaults.WORKERS,
        description="How many local workers; `auto` is one for each place on a GPU, or for each "
        "core.",
    )
    gpus: str = Field(
        default=defaults.GPUS,
        min_length=1,
        description="`auto` (all there are), `none`, or GPUs as `nvidia-smi -L` counts them: "
        "`0,1`.",
    )
    trainers_per_gpu: Count = Field(
        default=defaults.TRAINERS_PER_GPU, description="How many workers share a GPU."
    )
    warm_start: str | None = Field(
        default=None,
        min_length=1,
        description="An earlier study, whose best configs are tried first.",
    )
    warm_start_store: str | None = Field(
        default=None, description="The store of that study, if it is another one."
    )
    warm_start_trials: Count = Field(
        default=defaults.WARM_START_TRIALS, description="How many of its configs are tried."
    )


class StoreTable(Table):
    """Where results go."""

    url: str | None = Field(
        default=None,
        description="URL of the store; by default `$CONVSEARCH_STORE`, or a SQLite file in the "
        "current folder.",
    )
    artifacts: str | None = Field(
        default=None,
        description="Where files go that are too large for the store's tables: a folder, "
        "`database`, or s3://BUCKET/PREFIX. By default a folder beside a SQLite file, and the "
        "database of a server.",
    )
    max_files_mb: Count = Field(
        default=defaults.MAX_FILES_MB,
        description="The most megabytes that files may take in the database.",
    )


class StudyPlan(Table):
    """All settings of a study file and the command line, with the defaults filled in.

    `space` is the table as it was written, `families` and `modules` included; `spaces` reads it.
    """

    study: StudyTable = StudyTable()
    data: DataSettings
    space: dict[str, Any] = Field(default_factory=dict)
    training: TrainingSettings = TrainingSettings()
    search: SearchSettings = SearchSettings()
    transfer: TransferSettings = TransferSettings()
    budget: BudgetSettings = BudgetSettings()
    store: StoreTable = StoreTable()


def store_url(given: str | None) -> str:
    """Return the store's URL: the given one, `$CONVSEARCH_STORE`, or a file in this folder."""
    return given or os.environ.get("CONVSEARCH_STORE") or defaults.STORE_URL
