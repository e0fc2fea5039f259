"""The commands about what came out of a study: `reproduce`, `predict`."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import options


def add_to(app: typer.Typer) -> None:
    """Adds the commands to the application, in the order that help shows them in."""
    app.command()(reproduce)
    app.command()(predict)


def reproduce(
    study: options.Study,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="Number of the trial.")],
    threads: Annotated[
        int,
        typer.Option(min=1, help="Threads of the trainer: as many as the trial was trained on."),
    ] = 1,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Trains a trial again from its record, and says whether its curve is the same.

    On the same kind of processor it is, to the last digit; the exit code is 1 where it is not.
    """
    from search.cli.console import answers, notes, print_json, progress_bar
    from search.cli.opened import opened
    from search.cli.show_reproduction import show_reproduction
    from search.reproduction import reproduce as train_again

    with opened(store) as there, progress_bar(notes()) as progress:
        found = train_again(there, study, trial, n_threads=threads, progress=progress)
    if json:
        print_json(found.to_json())
    else:
        show_reproduction(answers(), found)
    if not found.is_identical:
        raise typer.Exit(1)


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
            help="PNG, JPEG, BMP or TIFF files, or folders of them.",
            show_default=False,
        ),
    ],
    json: options.Json = False,
) -> None:
    """Gives class probabilities of images by an exported model.

    Images of another size or colour are converted as those were that it was trained on, and the
    answer says so. The exit code is 1 where an image cannot be read.
    """
    from search.cli.console import answers, notes, print_json, progress_bar, steps
    from search.cli.show_predictions import show_predictions, show_unread
    from search.prediction import predict as predict_images

    console = notes()
    with progress_bar(console) as progress:
        found = predict_images(
            model, images, progress=progress, on_step=steps(console, is_silent=json)
        )
    if json:
        print_json(found.to_json())
    else:
        show_predictions(answers(), found)
    show_unread(console, found)
    if found.n_unread:
        raise typer.Exit(1)
