"""The command `worker`, which serves one study or every open one."""

from typing import Annotated

import typer

from search.cli import options


def worker(
    study: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="Name of the study.", show_default="every open one"),
    ] = None,
    store: options.Store = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Number of workers, or auto.", show_default="trainers per GPU times GPUs, or 1"
        ),
    ] = None,
    gpus: options.Gpus = None,
    trainers_per_gpu: options.TrainersPerGpu = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of each trainer.",
            show_default="cores divided among workers, or 1",
        ),
    ] = None,
    idle_exit: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Exit after this time without work, such as 10m.",
            show_default="wait forever",
        ),
    ] = None,
    shared: options.Shared = False,
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
    from storage.file_rights import share_new_folders

    if shared:
        share_new_folders()
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
