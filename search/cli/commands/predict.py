"""The command `predict`: class probabilities of images by an exported model."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options


def predict(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="The folder of a report, or the .keras file in it.",
            show_default=False,
        ),
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files (PNG, JPEG, TIFF, DICOM, NIfTI, ...), or folders of them.",
            show_default=False,
        ),
    ],
    json: options.Json = False,
) -> None:
    """Predict class probabilities of images with an exported model.

    Images of another size or color are converted like the training images, and the answer says
    so. The exit code is 1 where an image cannot be read.
    """
    from search.cli.console import print_result, progress_bar, stderr_console, step_printer
    from search.cli.views.predictions import show_predictions, show_unreadable
    from search.exported_models.prediction import predict as predict_images

    console = stderr_console()
    with progress_bar(console) as progress:
        found = predict_images(
            model, images, progress=progress, on_step=step_printer(console, is_silent=json)
        )
    print_result(found, show_predictions, as_json=json)
    show_unreadable(console, found)
    if found.n_unreadable:
        raise typer.Exit(1)
