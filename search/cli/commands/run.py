"""The commands that search: `run`, and `demo` with a study of its own."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options
from search.cli.study_options import STUDY_OPTIONS, StudyOptions, with_study_options
from search.settings.option_keys import OPTION_NAMES, by_key

if TYPE_CHECKING:
    from search.studies.submission import Submission

DEMO_STUDY = "demo"
DEMO_TRIALS = 10
DEMO_EPOCHS = 8
DEMO_FAMILIES = ("plain",)
"""The fastest to train: the demo takes two minutes."""


def demo(
    store: options.Store = None,
    trials: Annotated[int, typer.Option(help="Trials to run.")] = DEMO_TRIALS,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Run a small search on embedded MRI patches, in this folder, and report what it found."""
    given = {
        ("study", "name"): DEMO_STUDY,
        ("space", "families"): list(DEMO_FAMILIES),
        ("training", "max_epochs"): DEMO_EPOCHS,
        ("budget", "trials"): trials,
        ("search", "seed"): seed,
        ("store", "url"): store,
    }
    _run(StudyOptions("demo", given), is_json=json)
    _report(store, DEMO_STUDY)


@with_study_options(*STUDY_OPTIONS)
def run(
    given: StudyOptions,
    workers: options.Workers = None,
    gpus: options.Gpus = None,
    trainers_per_gpu: options.TrainersPerGpu = None,
    dashboard: Annotated[
        str | None,
        typer.Option(
            "--dashboard",
            metavar="[=PORT]",
            help="Show the search in a browser, too; at port 8080 or the next free one.",
            show_default=False,
        ),
    ] = None,
    shared: options.Shared = False,
    json: options.Json = False,
) -> None:
    """Search for the best network on SOURCE until the budget is spent, and rank the trials.

    The same command again resumes the study.
    """
    from storage.file_rights import share_new_folders

    if shared:
        share_new_folders()
    local = by_key(
        workers=options.parse_workers(workers), gpus=gpus, trainers_per_gpu=trainers_per_gpu
    )
    given = StudyOptions(given.source, {**given.values, **local})
    _run(given, is_json=json, dashboard=dashboard)


def _run(given: StudyOptions, *, is_json: bool, dashboard: str | None = None) -> None:
    """Run a study with a live view, then show the ranking and the next steps."""
    from contextlib import closing, nullcontext

    from search.cli.console import (
        print_json,
        print_line,
        progress_bar,
        stderr_console,
        stdout_console,
    )
    from search.cli.views.live_progress import live_view
    from search.cli.views.ranking import show_ranking
    from search.cli.views.run import (
        show_dashboard_address,
        show_ending,
        show_stopping,
        show_submission,
    )
    from search.dashboard.child_process import DashboardProcess
    from search.settings.stored import StudySettings
    from search.settings.study_file import read_plan
    from search.studies.resolved_plan import resolve_plan
    from search.workers.local_run import RunCallbacks, run_plan

    plan = resolve_plan(read_plan(given.source, given.values, OPTION_NAMES))
    console = stderr_console()
    dashboard_context = (
        nullcontext() if dashboard is None else closing(DashboardProcess(dashboard))
    )

    def on_submit(submission: "Submission") -> None:
        show_submission(console, submission)
        if dashboard_process is not None:
            log = submission.artifacts.dashboard_log
            lost = (
                "The dashboard has ended, and the search continues: `convsearch dashboard` shows "
                f"it again. Its log: {log}"
            )
            dashboard_process.start(plan.store_url, log, lambda: print_line(console, lost))
            show_dashboard_address(console, dashboard_process)

    with (
        dashboard_context as dashboard_process,
        progress_bar(console) as progress,
        live_view(console) as view,
    ):
        result = run_plan(
            plan,
            RunCallbacks(on_submit, lambda: show_stopping(console), view),
            progress=progress,
        )
    baseline = StudySettings.read(result.status.record.settings).baseline
    if is_json:
        print_json(result.ranking.to_json() | {"baseline": baseline})
    else:
        show_ranking(stdout_console(), result.ranking, baseline=baseline)
    show_ending(console, result)
    if dashboard_process is not None and not dashboard_process.has_exited:
        print_line(
            console,
            "The dashboard has ended with the search: `convsearch dashboard` shows all studies.",
        )
    if result.is_interrupted:
        raise typer.Exit(128 + (result.signal or signal.SIGINT))
    if result.status.record.has_failed:
        raise typer.Exit(1)


def _report(store: str | None, study: str) -> None:
    """Write the report of a study into the current folder, replacing an earlier one."""
    from pathlib import Path

    from search.cli.console import progress_bar, stderr_console, step_printer
    from search.cli.views.report import show_report
    from search.reports.report import report

    console = stderr_console()
    with progress_bar(console) as progress:
        written = report(
            store,
            study,
            Path(f"{study}-report"),
            is_forced=True,
            progress=progress,
            on_step=step_printer(console),
        )
    show_report(console, console, written)
