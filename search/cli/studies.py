"""The commands around a study: `demo`, `run`, `worker`, `status` and `rank`."""

from typing import Annotated, Any

import typer

from search.cli import options

DEMO_TRIALS = 10
DEMO_EPOCHS = 8
DEMO_FAMILIES = ("plain",)
"""The quickest to train: the ranking is there in two minutes."""


def add_to(app: typer.Typer) -> None:
    """Adds the commands to the application, in the order that help shows them in."""
    for command in (demo, run, worker, status, rank):
        app.command()(command)


def demo(
    store: options.Store = None,
    trials: Annotated[int, typer.Option(help="Trials to run.")] = DEMO_TRIALS,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Runs a small search on embedded MRI patches, in this folder, and ranks its trials."""
    given = {
        ("study", "name"): "demo",
        ("space", "families"): list(DEMO_FAMILIES),
        ("training", "max_epochs"): DEMO_EPOCHS,
        ("budget", "trials"): trials,
        ("search", "seed"): seed,
        ("store", "url"): store,
    }
    _run("demo", given, is_json=json)


def run(
    source: options.Source,
    study: options.StudyName = None,
    store: options.Store = None,
    artifacts: options.Artifacts = None,
    families: options.Families = None,
    backbones: options.Backbones = None,
    weights: options.Weights = None,
    weights_mode: options.WeightsMode = None,
    transfer_image_size: options.TransferImageSize = None,
    trials: options.Trials = None,
    timeout: options.Timeout = None,
    workers: options.Workers = None,
    max_epochs: options.MaxEpochs = None,
    image_size: options.ImageSize = None,
    color: options.Color = None,
    max_images: options.MaxImages = None,
    split: options.Split = None,
    seed: options.Seed = None,
    sampler: options.Sampler = None,
    pruner: options.Pruner = None,
    max_parameters: options.MaxParameters = None,
    max_memory: options.MaxMemory = None,
    max_operations: options.MaxOperations = None,
    strict: options.Strict = None,
    warm_start: options.WarmStart = None,
    warm_start_store: options.WarmStartStore = None,
    json: options.Json = False,
) -> None:
    """Searches for the best network on SOURCE until the budget is spent, and ranks the trials.

    The same command again resumes the study.
    """
    given = {
        ("study", "name"): study,
        ("study", "workers"): options.parse_workers(workers),
        ("study", "warm_start"): warm_start,
        ("study", "warm_start_store"): warm_start_store,
        ("data", "image_size"): image_size,
        ("data", "color"): color,
        ("data", "max_images"): max_images,
        ("data", "split"): options.parse_split(split),
        ("data", "seed"): seed,
        ("data", "strict"): strict,
        ("space", "families"): families.split(",") if families is not None else None,
        ("space", "backbone"): backbones.split(",") if backbones is not None else None,
        ("transfer", "weights"): weights,
        ("transfer", "weights_mode"): weights_mode,
        ("transfer", "image_size"): transfer_image_size,
        ("training", "max_epochs"): max_epochs,
        ("search", "seed"): seed,
        ("search", "sampler"): sampler,
        ("search", "pruner"): pruner,
        ("search", "max_parameters"): max_parameters,
        ("search", "max_memory"): max_memory,
        ("search", "max_operations"): max_operations,
        ("budget", "trials"): trials,
        ("budget", "timeout"): timeout,
        ("store", "url"): store,
        ("store", "artifacts"): artifacts,
    }
    _run(source, given, is_json=json)


def worker(
    study: options.Study,
    store: options.Store = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the trainer.")] = 1,
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="Leave when the input closes.")
    ] = False,
) -> None:
    """Joins a study and trains its trials until its budget is spent."""
    import logging

    from search.open_study import OpenStudy
    from search.submit import store_url
    from search.worker import serve
    from storage import Store

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    opened = OpenStudy.load(Store.open(store_url(store), create=False), study)
    raise typer.Exit(serve(opened, n_threads=threads, is_supervised=supervised))


def status(study: options.Study, store: options.Store = None, json: options.Json = False) -> None:
    """Shows how far a study is: counts, workers, trials an hour, time left.

    What dead workers left is put right first.
    """
    from analysis import load_status
    from search.cli.console import answers, notes, print_json
    from search.cli.opened import opened, recovered
    from search.cli.show import show_status

    with opened(store) as there:
        recovered(there, store, study, notes())
        found = load_status(there, study)
    if json:
        print_json(found.to_json())
    else:
        show_status(answers(), found)


def rank(
    study: options.Study,
    store: options.Store = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Every trial, with the reason for its end.")
    ] = False,
    by_family: Annotated[
        bool, typer.Option("--by-family", help="The best of each family, and what it took.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Ranks the trials of a study by validation accuracy."""
    from analysis import rank as rank_trials
    from search.cli.console import answers, print_json
    from search.cli.opened import opened
    from search.cli.show import show_family_ranking, show_ranking

    with opened(store) as there:
        ranking = rank_trials(there, study)
    if json:
        print_json(ranking.to_json())
    elif by_family:
        show_family_ranking(answers(), ranking)
    else:
        show_ranking(answers(), ranking, show_all=show_all)


def _run(source: str, given: dict[tuple[str, str], Any], *, is_json: bool) -> None:
    """Runs a study with a live view, and ends with the ranking and what to do next."""
    from search.cli.console import answers, notes, print_json, progress_bar
    from search.cli.live import live_view
    from search.cli.show import show_ending, show_ranking, show_submission
    from search.plan import read_plan
    from search.runner import run_plan

    plan = read_plan(source, given, options.NAMES)
    console = notes()
    with progress_bar(console) as progress, live_view(console) as view:
        result = run_plan(
            plan,
            progress=progress,
            on_submit=lambda submission: show_submission(console, submission),
            view=view,
        )
    if is_json:
        print_json(result.ranking.to_json())
    else:
        show_ranking(answers(), result.ranking)
    show_ending(console, result)
    if result.is_interrupted:
        raise typer.Exit(130)
    if result.status.record.has_failed:
        raise typer.Exit(1)
