"""The command `stop`."""

import time
from typing import Annotated

import typer

from search.cli import options
from search.cli.store import open_for_writing

WAIT_S = 600.0
"""Maximum wait: an epoch of a large network takes minutes."""
POLL_S = 0.5


def stop(
    study: options.Study,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until all workers have stopped.")
    ] = True,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Maximum wait.")
    ] = WAIT_S,
    store: options.Store = None,
) -> None:
    """Make all workers of a study finish their epoch, release their trials and stop.

    `convsearch study resume STUDY` opens it again, and so does `run` with the same source.
    """
    from search.cli.console import stderr_console, stdout_console
    from search.cli.views.studies import show_stopped
    from search.errors import WorkerError
    from storage import list_workers, load_study, set_stopped

    with open_for_writing(store) as opened_store:
        record = load_study(opened_store, study)
        place = opened_store.shown_url if store else None
        set_stopped(opened_store, record.study_id, True)
        deadline = time.monotonic() + timeout
        n_said = None
        while True:
            alive = [row for row in list_workers(opened_store, record.study_id) if row.is_alive]
            if not alive or not wait:
                break
            if time.monotonic() > deadline:
                raise WorkerError(
                    f"Study {study!r} is stopped, but {len(alive)} of its workers have not "
                    f"stopped within {timeout:.0f} s; they stop at the end of their epoch."
                )
            if len(alive) != n_said:
                n_said = len(alive)
                show_stopped(stderr_console(), study, alive, place, is_waiting=True)
            time.sleep(POLL_S)
    show_stopped(stdout_console(), study, alive, place, is_waiting=False)
