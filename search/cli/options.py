"""Options that several commands share, and what they set in a plan."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder with a sub-folder a class, .npz file, study file (.toml), or `demo`.",
        show_default=False,
    ),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="sqlite:///FILE, postgres:FOLDER or postgresql://USER@HOST/NAME.",
        show_default="$CONVSEARCH_STORE or sqlite:///convsearch.db",
    ),
]
Artifacts = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where checkpoints and prepared images go: a folder, database or s3://BUCKET/PREFIX.",
        show_default="beside the store, or in it",
    ),
]
ImageSize = Annotated[
    int | None, typer.Option(help="Side of the images in pixels.", show_default="32")
]
Color = Annotated[str | None, typer.Option(help="grey, rgb or auto.", show_default="auto")]
MaxImages = Annotated[
    int | None, typer.Option(help="The most images used, drawn evenly.", show_default="3000")
]
Split = Annotated[
    str | None,
    typer.Option(metavar="T,V,T", help="Fractions of the splits.", show_default="0.7,0.15,0.15"),
]
Seed = Annotated[
    int | None, typer.Option(help="Of splits, proposals and training.", show_default="0")
]
Strict = Annotated[
    bool | None, typer.Option("--strict", help="A broken image is an error, not left out.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
StudyName = Annotated[
    str | None, typer.Option(help="Name of the study.", show_default="the source's name")
]
Families = Annotated[
    str | None,
    typer.Option(
        help="Families of networks, with commas, or all.", show_default="all but transfer"
    ),
]
Backbones = Annotated[
    str | None,
    typer.Option(
        help="Backbones of the family transfer, with commas.", show_default="five small ones"
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="imagenet|none|PATH",
        help="Their weights: downloaded, random, or a .weights.h5 file.",
        show_default="imagenet",
    ),
]
WeightsMode = Annotated[
    str | None,
    typer.Option(
        metavar="MODE",
        help="How the weights of a file want pixels: torch, tf or caffe.",
        show_default="as Keras' own",
    ),
]
TransferImageSize = Annotated[
    int | None,
    typer.Option(help="Side of the images that backbones see.", show_default="96"),
]
Trials = Annotated[
    int | None,
    typer.Option(help="Trials to run.", show_default="30, or no bound when --timeout is given"),
]
Timeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="How long to search, as 90s, 30m or 2h.")
]
Test = Annotated[
    bool | None,
    typer.Option(
        "--test/--no-test",
        help="Score the winner on the test split.",
        show_default="once the study is over",
    ),
]
Workers = Annotated[
    str | None, typer.Option(help="Local workers.", show_default="auto, one for each core")
]
WarmStart = Annotated[
    str | None,
    typer.Option(
        metavar="STUDY", help="Try the best configs of an earlier study first, also of other data."
    ),
]
WarmStartStore = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The store of that study.", show_default="the same"),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        metavar="auto|none|0,1", help="GPUs to train on, a worker for each.", show_default="auto"
    ),
]
TrainersPerGpu = Annotated[
    int | None, typer.Option(min=1, help="Workers that share a GPU.", show_default="1")
]
Priority = Annotated[
    int | None,
    typer.Option(help="Standing workers serve higher ones first.", show_default="0"),
]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option(help="Log lines for people, or JSON objects.")
]
MaxEpochs = Annotated[
    int | None, typer.Option(help="The most epochs of a trial.", show_default="20")
]
Sampler = Annotated[str | None, typer.Option(help="tpe or random.", show_default="tpe")]
Pruner = Annotated[
    str | None,
    typer.Option(
        help="Stops poor trials early: auto, median, percentile, hyperband, halving or none.",
        show_default="auto",
    ),
]
MaxParameters = Annotated[
    int | None, typer.Option(help="Larger networks are not built.", show_default="10,000,000")
]
MaxMemory = Annotated[
    float | None,
    typer.Option(
        metavar="MB",
        help="Networks that need more memory are not built.",
        show_default="by machine",
    ),
]
MaxOperations = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Nor those with more million operations for an image.",
        show_default="by size",
    ),
]

NAMES = {
    ("study", "name"): "--study",
    ("study", "workers"): "--workers",
    ("study", "warm_start"): "--warm-start",
    ("study", "warm_start_store"): "--warm-start-store",
    ("study", "priority"): "--priority",
    ("study", "gpus"): "--gpus",
    ("study", "trainers_per_gpu"): "--trainers-per-gpu",
    ("data", "source"): "SOURCE",
    ("data", "image_size"): "--image-size",
    ("data", "color"): "--color",
    ("data", "max_images"): "--max-images",
    ("data", "split"): "--split",
    ("data", "seed"): "--seed",
    ("data", "strict"): "--strict",
    ("training", "max_epochs"): "--max-epochs",
    ("transfer", "weights"): "--weights",
    ("transfer", "weights_mode"): "--weights-mode",
    ("transfer", "image_size"): "--transfer-image-size",
    ("search", "seed"): "--seed",
    ("search", "sampler"): "--sampler",
    ("search", "pruner"): "--pruner",
    ("search", "max_parameters"): "--max-parameters",
    ("search", "max_memory"): "--max-memory",
    ("search", "max_operations"): "--max-operations",
    ("budget", "trials"): "--trials",
    ("budget", "timeout"): "--timeout",
    ("store", "url"): "--store",
    ("store", "artifacts"): "--artifacts",
}


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What a command line says of a study: its source, and values by (table, key)."""

    source: str
    values: dict[tuple[str, str], Any]

    def with_values(self, values: dict[tuple[str, str], Any]) -> "StudyOptions":
        """Add what only one command can say."""
        return StudyOptions(self.source, self.values | values)


Command = Callable[..., None]


def with_shared_options(shared: Callable[..., StudyOptions]) -> Callable[[Command], Command]:
    """Return a command the options of `shared` before its own; their result comes first."""
    common = inspect.signature(shared).parameters

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command).parameters.values())[1:]

        @functools.wraps(command)
        def with_shared(**values: Any) -> None:
            given = shared(**{name: values.pop(name) for name in common})
            command(given, **values)

        parameters = [*common.values(), *own]
        with_shared.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_shared.__annotations__ = {it.name: it.annotation for it in parameters}
        return with_shared

    return decorate


def parse_time(option: str, text: str | None) -> float | None:
    """Read `90s`, `10m` or `2h` as seconds.

    Raises:
        SettingsError: If it is none of these.
    """
    from search.errors import SettingsError
    from search.settings.plan import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = -1.0
    if seconds is None or (isinstance(seconds, float) and seconds >= 0):
        return seconds
    raise SettingsError(f"{option}: expected a duration such as 90s, 30m or 2h. Received: {text}")


def parse_split(text: str | None) -> list[float] | None:
    """Read `0.7,0.15,0.15`.

    Raises:
        SettingsError: If these are not three numbers.
    """
    from search.errors import SettingsError

    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) != 3:
        raise SettingsError(
            f"--split: expected three fractions, as 0.7,0.15,0.15. Received: {text}"
        )
    return parts


def parse_workers(text: str | None) -> int | str | None:
    """Read a number of workers or `auto`; what is neither is left to be refused."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text
