"""The command `report`: the results of a study as files."""

from typing import Annotated, Literal

import typer

from search.cli import options


def report(
    study: options.Study,
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder to write it into.")],
    test: options.Test = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier report in that folder.")
    ] = False,
    lang: Annotated[
        Literal["en", "ru"], typer.Option(help="Language of page and notebook.")
    ] = "en",
    names: Annotated[
        bool, typer.Option("--names", help="Include names of files that were left out.")
    ] = False,
    trust_modules: options.TrustModules = False,
    shared: options.Shared = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write the report of STUDY: a page, an executed notebook, all data, and the best model.

    The report of a study that still runs says so.
    """
    from pathlib import Path

    from search.cli.console import (
        print_json,
        print_line,
        progress_bar,
        stderr_console,
        stdout_console,
        step_printer,
    )
    from search.cli.next_command import needed_options
    from search.cli.views.confirmation import show_test_uses
    from search.cli.views.report import show_report
    from search.reports.report import report as write_report
    from storage import Store
    from storage.file_rights import share_new_folders

    if shared:
        share_new_folders()
    console = stderr_console()
    with progress_bar(console) as progress:
        written = write_report(
            store,
            study,
            Path(out),
            opens_test=test,
            is_forced=force,
            lang=lang,
            with_names=names,
            trust_modules=trust_modules,
            progress=progress,
            on_step=step_printer(console, is_silent=json),
            on_score=lambda: print_line(console, "Scoring the winner on the test split"),
        )
    if json:
        print_json(written.to_json())
        show_test_uses(console, written.facts.test_uses)
    else:
        place = Store.show(store) if store else None
        needed = needed_options(place, trusts_modules=trust_modules)
        show_report(stdout_console(), console, written, options=needed)
    if written.problems:
        raise typer.Exit(1)
