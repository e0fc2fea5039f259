"""The commands that watch, stop and repair: `watch`, `stop` and `doctor`."""

import time
from typing import Annotated

import typer

from search.cli import options
from search.cli.store import open_for_reading, open_for_writing

WAIT_S = 600.0
"""Maximum wait of `stop`: an epoch of a large network takes minutes."""
POLL_S = 0.5


def watch(
    study: options.Study,
    every: Annotated[
        str, typer.Option(metavar="TIME", help="How often to refresh, as 2s or 1m.")
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


def stop(
    study: options.Study,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until all workers have stopped.")
    ] = True,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="The longest wait.")
    ] = WAIT_S,
    store: options.Store = None,
) -> None:
    """Make all workers of a study finish their epoch, release their trials and stop.

    `run` or `submit` on the same study resumes it.
    """
    from search.cli.console import stderr_console, stdout_console
    from search.cli.views.studies import show_stopped
    from search.errors import WorkerError
    from storage import list_workers, load_study, set_stopped

    with open_for_writing(store) as opened_store:
        record = load_study(opened_store, study)
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
                show_stopped(stderr_console(), study, alive, is_waiting=True)
            time.sleep(POLL_S)
    show_stopped(stdout_console(), study, alive, is_waiting=False)


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Look for what is wrong with a store, and repair it with --fix."""
    from search.cli.console import print_result
    from search.cli.views.studies import show_doctor_report
    from search.doctor import run_checks
    from search.settings.store_url import store_url

    report = run_checks(store_url(store), fix=fix)
    print_result(report, show_doctor_report, as_json=json)
    if not report.is_healthy:
        raise typer.Exit(1)
