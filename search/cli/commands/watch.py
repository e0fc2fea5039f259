"""The command `watch`."""

import time
from typing import Annotated

import typer

from search.cli import options
from search.cli.store import open_for_reading


def watch(
    study: options.Study,
    every: Annotated[
        str, typer.Option(metavar="TIME", help="How often to refresh, such as 2s or 1m.")
    ] = "2s",
    store: options.Store = None,
) -> None:
    """Show the status of a study until it ends; Ctrl-C ends the view, not the study."""
    from analysis import follow_status
    from search.cli.console import stdout_console
    from search.cli.views.status import show_status
    from search.cli.views.watch import is_over, watch_view
    from search.errors import SettingsError

    every_s = options.parse_time("--every", every)
    if not every_s:
        raise SettingsError(f"--every: expected more than 0. Received: {every}")
    console = stdout_console()
    with open_for_reading(store) as opened_store:
        read_status = follow_status(opened_store, study)
        status = read_status()
        try:
            with watch_view(console) as show:
                while not is_over(status):
                    show(status)
                    time.sleep(every_s)
                    status = read_status()
        finally:  # After Ctrl-C too: the view is gone by then.
            show_status(console, status)
