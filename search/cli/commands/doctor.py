"""The command `doctor`."""

from typing import Annotated

import typer

from search.cli import options


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Look for what is wrong with a store, and repair it with --fix."""
    from search.cli.console import print_result
    from search.cli.views.doctor import show_doctor_report
    from search.doctor import run_checks
    from search.settings.store_url import store_url

    report = run_checks(store_url(store), fix=fix)
    print_result(report, show_doctor_report, as_json=json)
    if not report.is_healthy:
        raise typer.Exit(1)
