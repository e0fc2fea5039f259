"""The commands of a standing service: `submit` creates a study, `worker` serves it."""

from typing import Annotated

import typer

from search.cli import options
from search.cli.study_options import STUDY_OPTIONS, StudyOptions, with_study_options


@with_study_options(*STUDY_OPTIONS)
def submit(given: StudyOptions, json: options.Json = False) -> None:
    """Create a study on SOURCE and return: workers of the store do the work.

    The same command again resumes the study, with the budget that it names.
    """
    from search.cli.console import (
        print_json,
        print_line,
        progress_bar,
        stderr_console,
        stdout_console,
    )
    from search.cli.views.status import describe_submission, show_submission
    from search.settings.option_keys import OPTION_NAMES
    from search.settings.study_file import read_plan
    from search.studies.resolved_plan import resolve_plan
    from search.studies.submission import submit as submit_plan
    from storage import Store

    plan = resolve_plan(read_plan(given.source, given.values, OPTION_NAMES))
    console = stderr_console()
    with progress_bar(console) as progress:
        submission = submit_plan(plan, progress=progress)
    submission.store.close()
    if json:
        print_json(describe_submission(submission))
        return
    show_submission(console, submission, with_workers=False)
    is_here = Store.file_of(submission.store.shown_url) is not None
    where = "on this machine" if is_here else "of any machine that reaches the store"
    print_line(stdout_console(), f"Workers {where} serve it:")
    if plan.tables.store.url is None:
        print_line(stdout_console(), "  convsearch worker")
    else:
        print_line(stdout_console(), f"  convsearch worker --store {submission.store.shown_url}")


def worker(
    study: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="Name of the study.", show_default="every open one"),
    ] = None,
    store: options.Store = None,
    workers: Annotated[
        str | None,
        typer.Option(help="How many, or auto.", show_default="one for each place on a GPU, or 1"),
    ] = None,
    gpus: options.Gpus = None,
    trainers_per_gpu: options.TrainersPerGpu = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads of each trainer.", show_default="the cores shared, or 1"
        ),
    ] = None,
    idle_exit: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Exit after this time without work, as 10m.",
            show_default="wait for ever",
        ),
    ] = None,
    log_format: options.LogFormat = "text",
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="Exit when the input closes.")
    ] = False,
) -> None:
    """Train trials of STUDY until its budget is spent.

    Without STUDY it serves every open study of the store, those of a higher priority first.
    """
    from search.errors import SettingsError
    from search.machine.signals import exit_on_signal

    exit_on_signal()
    if study is not None and idle_exit is not None:
        raise SettingsError(
            f"--idle-exit is for a worker of every study; that of {study} exits at its end."
        )
    from search.machine.gpus import choose_devices
    from search.machine.log_format import log_to_stderr
    from search.settings.store_url import store_url
    from search.workers.service import Service
    from storage import StoreError, StoreMissingError

    log_to_stderr(log_format)
    service = Service(
        store_url=store_url(store),
        study=study,
        devices=choose_devices(
            gpus or "auto",
            trainers_per_gpu=trainers_per_gpu or 1,
            workers=options.parse_workers(workers),
        ),
        n_threads=threads,
        idle_exit_s=options.parse_time("--idle-exit", idle_exit),
        log_format=log_format,
        is_supervised=supervised,
    )
    try:
        code = service.run()
    except StoreMissingError as error:  # It may be created later, so a retry makes sense.
        raise StoreError(str(error)) from error
    raise typer.Exit(code)
