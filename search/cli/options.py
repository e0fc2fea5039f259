"""Options that several commands share, and what they set in a plan."""

from typing import Annotated

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
        help="sqlite:///FILE or postgresql://USER@HOST/NAME.",
        show_default="$CONVSEARCH_STORE or sqlite:///convsearch.db",
    ),
]
Artifacts = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="For checkpoints.", show_default="beside the store"),
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

NAMES = {
    ("study", "name"): "--study",
    ("study", "workers"): "--workers",
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


def parse_split(text: str | None) -> list[float] | None:
    """Reads `0.7,0.15,0.15`.

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
    """Reads a number of workers or `auto`; what is neither is left to be refused."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text
