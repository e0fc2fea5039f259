"""The command `confirm`: train the best configs again from other seeds."""

import signal
from typing import Annotated

import typer

from search import defaults
from search.cli import options


def confirm(
    study: options.Study,
    top: Annotated[
        int, typer.Option(min=1, max=100, help="Number of best configs to train again.")
    ] = defaults.CONFIRM_TOP,
    seeds: Annotated[
        int, typer.Option(min=2, max=100, help="Trainings of each config, from different seeds.")
    ] = defaults.CONFIRM_SEEDS,
    trust_modules: options.TrustModules = False,
    test: options.Test = None,
    workers: options.Workers = None,
    gpus: options.Gpus = None,
    trainers_per_gpu: options.TrainersPerGpu = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Train the best configs of STUDY again from other seeds, and say which is really best.

    The winner is then scored, once, on the test split. The same command again continues where
    it stopped; a larger --top or --seeds adds trainings.
    """
    from search.cli.console import (
        print_json,
        print_line,
        progress_bar,
        stderr_console,
        stdout_console,
    )
    from search.cli.views.confirmation import show_confirm_result, show_test_uses
    from search.cli.views.live_progress import live_view
    from search.cli.views.run import show_stopping, show_submission
    from search.evaluation.confirm import confirm as run_confirmation
    from search.settings.option_keys import OPTION_NAMES, by_key
    from search.settings.stored import StudySettings
    from search.settings.study_file import read_plan

    local = by_key(
        workers=options.parse_workers(workers), gpus=gpus, trainers_per_gpu=trainers_per_gpu
    )
    console = stderr_console()
    with progress_bar(console) as progress, live_view(console) as view:
        result = run_confirmation(
            store,
            study,
            top=top,
            n_seeds=seeds,
            local=read_plan("demo", local, OPTION_NAMES).study,
            trust_modules=trust_modules,
            opens_test=test,
            progress=progress,
            on_submit=lambda submission: show_submission(console, submission),
            on_stop=lambda: show_stopping(console),
            on_score=lambda: print_line(console, "Scoring the winner on the test split"),
            view=view,
        )
    if json:
        print_json(result.to_json())
        show_test_uses(console, result.uses)
    else:
        baseline = StudySettings.read(result.run.status.record.settings).baseline
        show_confirm_result(stdout_console(), console, result, opens_test=test, baseline=baseline)
    if result.run.is_interrupted:
        raise typer.Exit(128 + (result.run.signal or signal.SIGINT))
    if result.run.status.record.has_failed or result.problem is not None:
        raise typer.Exit(1)
