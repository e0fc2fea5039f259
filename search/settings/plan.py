"""What a study is told: its settings, as tables of a study file or options of a command."""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from search.data import DataSettings

UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
DEFAULT_N_TRIALS = 30
DEFAULT_MAX_FILES_MB = 4096


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
    """How each trial is trained.

    Attributes:
        max_epochs: The most epochs of one trial.
        patience: Epochs without a better validation accuracy before a trial stops itself.
        plateau_patience: Epochs without a lower validation loss before the rate is reduced.
        plateau_factor: What the learning rate is then multiplied with.
        min_learning_rate: The rate is not reduced below this.
        trial_timeout: The most time of one trial in seconds, none by default.
        silence_timeout: A trainer silent for longer is taken for hung; by default ten times the
            study's longest epoch, and two minutes at least.
    """

    max_epochs: Count = 20
    patience: Count = 5
    plateau_patience: Count = 3
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    min_learning_rate: Annotated[float, Field(ge=0)] = 1e-6
    trial_timeout: Duration | None = None
    silence_timeout: Duration | None = None


class SearchSettings(Table):
    """How configs are proposed, and which are refused or stopped early.

    Attributes:
        sampler: Proposes configs: `tpe`, or `random`.
        pruner: Stops poor trials early: `auto`, `none`, or one of Optuna's by name.
        seed: Of the whole study: with one worker, one seed gives one result.
        family_trials: Trials that each of several families gets before the search picks among
            them; by default 0.4 of the budget in even parts, from 2 to 6.
        max_parameters: A config with more is not built; 10 million by default.
        max_memory: Predicted megabytes of training; a config that needs more is not built. By
            default what the machine has for each worker.
        max_operations: Millions of floating-point operations of one image's forward pass. By
            default 150 at 32×32 pixels and in proportion to the area: up to half a minute an
            epoch of 2,000 images on one core.
    """

    sampler: Literal["tpe", "random"] = "tpe"
    pruner: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    family_trials: Count | None = None
    max_parameters: Count | None = None
    max_memory: Annotated[float, Field(gt=0)] | None = None
    max_operations: Annotated[float, Field(gt=0)] | None = None


class TransferSettings(Table):
    """What pretrained backbones are given.

    Attributes:
        image_size: Side of their images in pixels, prepared from the originals.
        weights: `imagenet` (Keras' own download and cache), `none` (random ones), or the path of
            a `.weights.h5` of one backbone.
        weights_mode: How the weights of a file want pixels: `torch`, `tf` or `caffe`; by default
            as Keras' own weights of the backbone do.
    """

    image_size: Annotated[int, Field(ge=32, le=512, strict=True)] = 96
    weights: Annotated[str, Field(min_length=1)] = "imagenet"
    weights_mode: Literal["torch", "tf", "caffe"] | None = None


class BudgetSettings(Table):
    """What a study may spend: trials that count, time with a worker at work, or both.

    Attributes:
        trials: The number of trials that count; 30 where there is no timeout either.
        timeout: The time in which at least one worker is at work, as `30m`.
    """

    trials: Count | None = None
    timeout: Duration | None = None


class StudyTable(Table):
    """The study's name, how it stands among others, and which local workers serve it.

    Attributes:
        name: The source's stem by default.
        priority: Standing workers serve studies of a higher one first; 0 by default, and what it
            was where a study is resumed.
        workers: How many local ones; `auto` is one for each place on a GPU, or for each core.
        gpus: `auto` (all there are), `none`, or GPUs as `nvidia-smi -L` counts them: `0,1`.
        trainers_per_gpu: How many workers share a GPU.
        warm_start: An earlier study, whose best configs are tried first.
        warm_start_store: Its store, where that is another one.
        warm_start_trials: How many of its configs.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000, strict=True)] | None = None
    workers: Count | Literal["auto"] = "auto"
    gpus: Annotated[str, Field(min_length=1)] = "auto"
    trainers_per_gpu: Count = 1
    warm_start: Annotated[str, Field(min_length=1)] | None = None
    warm_start_store: str | None = None
    warm_start_trials: Count = 5


class StoreTable(Table):
    """Where results go.

    Attributes:
        url: Of the store; by default a SQLite file in the current folder.
        artifacts: Where files go that are too large for its tables: a folder, `database`, or
            s3://BUCKET/PREFIX. By default a folder beside a SQLite file, and a server's database.
        max_files_mb: The most megabytes that files may take in the database.
    """

    url: str | None = None
    artifacts: str | None = None
    max_files_mb: Count = DEFAULT_MAX_FILES_MB


class StudyPlan(Table):
    """Everything that a study file and the command line can say, with the defaults filled in.

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


DEFAULT_STORE = "sqlite:///convsearch.db"


def store_url(given: str | None) -> str:
    """Return the store's URL: the given one, `$CONVSEARCH_STORE`, or a file in this folder."""
    return given or os.environ.get("CONVSEARCH_STORE") or DEFAULT_STORE
