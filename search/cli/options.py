"""Options shared by several commands; those that describe a study are in `study_options`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import typer

from search import defaults

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder of a subfolder per class, table of images, .npz, HDF5, study file, or demo.",
        show_default=False,
    ),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="sqlite:///FILE, postgres:FOLDER or postgresql://USER@HOST/NAME.",
        show_default=f"$CONVSEARCH_STORE or {defaults.STORE_URL}",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of splits, proposals and training.", show_default=str(defaults.SEED)),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Trials = Annotated[
    int | None,
    typer.Option(
        help="Trials to run.",
        show_default=f"{defaults.N_TRIALS}, or no bound when --timeout is given",
    ),
]
Test = Annotated[
    bool | None,
    typer.Option(
        "--test/--no-test",
        help="Score the winner on the test split.",
        show_default="once the study is over",
    ),
]
Shared = Annotated[
    bool,
    typer.Option(
        "--shared",
        help="Others may read new folders and a new store, as the umask says.",
    ),
]
TrustModules = Annotated[
    bool,
    typer.Option("--trust-modules", help="Run the modules that the study names for its families."),
]
Workers = Annotated[
    str | None,
    typer.Option(help="Local workers.", show_default=f"{defaults.WORKERS}, one for each core"),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        metavar="auto|none|0,1",
        help="GPUs to train on, a worker for each.",
        show_default=defaults.GPUS,
    ),
]
TrainersPerGpu = Annotated[
    int | None,
    typer.Option(
        min=1, help="Workers that share a GPU.", show_default=str(defaults.TRAINERS_PER_GPU)
    ),
]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option(help="Log lines for people, or JSON objects.")
]


def parse_time(option: str, text: str | None) -> float | None:
    """Parse `90s`, `10m` or `2h` to seconds; raise SettingsError on other text."""
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
    """Parse `0.7,0.15,0.15`; raise SettingsError unless these are three numbers."""
    from search.errors import SettingsError

    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) != 3:
        raise SettingsError(
            f"--split: expected three fractions, such as 0.7,0.15,0.15. Received: {text}"
        )
    return parts


def parse_merge(text: str | None) -> dict[str, list[str]] | None:
    """Parse `new=a,b;other=c,d`; raise SettingsError unless each part names classes."""
    from search.errors import SettingsError

    if text is None:
        return None
    parts = [part.partition("=") for part in text.split(";")]
    names_once = len({new.strip() for new, _, _ in parts}) == len(parts)
    if not names_once or not all(new and names for new, _, names in parts):
        raise SettingsError(f"--merge: expected classes such as new=a,b. Received: {text}")
    return {new.strip(): [name.strip() for name in names.split(",")] for new, _, names in parts}


def parse_split_list(text: str | None) -> dict[str, str] | None:
    """Parse `test=a.txt,val=b.txt`; raise SettingsError unless each part names a split and a file.

    The names of the splits are validated later.
    """
    from search.errors import SettingsError

    if text is None:
        return None
    parts = [part.partition("=") for part in text.split(",")]
    found = {split.strip(): path.strip() for split, _, path in parts}
    if len(found) < len(parts) or not all(split and path for split, path in found.items()):
        raise SettingsError(f"--split-list: expected files such as test=a.txt. Received: {text}")
    return found


def parse_workers(text: str | None) -> int | str | None:
    """Parse a number of workers or `auto`; other text is returned for later validation."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "split": parse_split,
    "merge": parse_merge,
    "split_list": parse_split_list,
}
"""Of options whose values are more than a number, a text or a list."""
