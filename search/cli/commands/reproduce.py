"""The command `reproduce`: train a trial again and compare the curves."""

from typing import Annotated

import typer

from search.cli import options
from search.cli.store import open_for_reading


def reproduce(
    study: options.Study,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="Number of the trial.")],
    threads: Annotated[
        int,
        typer.Option(min=1, help="Threads of the trainer: as many as the trial was trained on."),
    ] = 1,
    trust_modules: options.TrustModules = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Train a trial again from its record, and say whether its curve is the same.

    On the same kind of processor it is, to the last digit; the exit code is 1 where it is not.
    """
    from search.cli.console import print_result, progress_bar, stderr_console
    from search.cli.views.reproduction import show_reproduction
    from search.evaluation.reproduction import reproduce as train_again

    with open_for_reading(store) as opened_store, progress_bar(stderr_console()) as progress:
        found = train_again(
            opened_store,
            study,
            trial,
            n_threads=threads,
            trust_modules=trust_modules,
            progress=progress,
        )
    print_result(found, show_reproduction, as_json=json)
    if not found.is_identical:
        raise typer.Exit(1)
