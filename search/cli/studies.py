"""The commands around a study: `demo`, `run`, `status` and `rank`."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import options

if TYPE_CHECKING:
    from search.submit import Submission

DEMO_STUDY = "demo"
DEMO_TRIALS = 10
DEMO_EPOCHS = 8
DEMO_FAMILIES = ("plain",)
"""The quickest to train: the ranking is there in two minutes."""
STOPPING = "Stopping: workers give their trials back. Ctrl-C again leaves at once."


def add_to(app: typer.Typer) -> None:
    """Adds the commands to the application, in the order that help shows them in."""
    from search.cli.service import submit, worker

    for command in (demo, run, submit, worker, status, rank):
        app.command()(command)


def demo(
    store: options.Store = None,
    trials: Annotated[int, typer.Option(help="Trials to run.")] = DEMO_TRIALS,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Runs a small search on embedded MRI patches, in this folder, and reports what it found."""
    given = {
        ("study", "name"): DEMO_STUDY,
        ("space", "families"): list(DEMO_FAMILIES),
        ("training", "max_epochs"): DEMO_EPOCHS,
        ("budget", "trials"): trials,
        ("search", "seed"): seed,
        ("store", "url"): store,
    }
    _run(options.Given("demo", given), is_json=json)
    _report(store, DEMO_STUDY)


def read_study(
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
    priority: options.Priority = None,
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
) -> options.Given:
    """Reads what `run` and `submit` can say of a study."""
    given = {
        ("study", "name"): study,
        ("study", "priority"): priority,
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
    return options.Given(source, given)


@options.sharing(read_study)
def run(
    given: options.Given,
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
    json: options.Json = False,
) -> None:
    """Searches for the best network on SOURCE until the budget is spent, and ranks the trials.

    The same command again resumes the study.
    """
    local = {
        ("study", "workers"): options.parse_workers(workers),
        ("study", "gpus"): gpus,
        ("study", "trainers_per_gpu"): trainers_per_gpu,
    }
    _run(given.also(local), is_json=json, dashboard=dashboard)


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
    within: Annotated[
        float | None,
        typer.Option(
            metavar="DISTANCE",
            help="Trials as good as the best, to so much, that are smaller or quicker: 0.01.",
            show_default=False,
        ),
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option("--pareto", help="Trials that no other betters at no more cost."),
    ] = False,
    metric: Annotated[
        str,
        typer.Option(help="val_accuracy, balanced_accuracy or auc, all on the validation split."),
    ] = "val_accuracy",
    json: options.Json = False,
) -> None:
    """Ranks the trials of a study by validation accuracy."""
    from analysis import rank as rank_trials
    from search.cli.console import answers, print_json
    from search.cli.opened import opened
    from search.cli.show_ranking import show_family_ranking, show_fronts, show_ranking, show_within

    views = {
        "--all": show_all, "--by-family": by_family, "--within": within is not None,
        "--pareto": pareto,
    }  # fmt: skip
    asked = [name for name, is_asked in views.items() if is_asked]
    if len(asked) > 1:
        raise typer.BadParameter(f"{' and '.join(asked)} show different things: give one of them.")
    if within is not None and not within >= 0:
        raise typer.BadParameter(f"--within: expected 0 or more. Received: {within}")
    with opened(store) as there:
        ranking = rank_trials(there, study, metric=metric)
    if json:
        trials = ranking.counted if within is None else ranking.within(within)
        document = ranking.to_json() | {"trials": [trial.to_json() for trial in trials]}
        if pareto:  # Alone: times differ from run to run, and all else follows from the seed.
            document["pareto"] = ranking.fronts_to_json()
        print_json(document)
    elif by_family:
        show_family_ranking(answers(), ranking)
    elif within is not None:
        show_within(answers(), ranking, within)
    elif pareto:
        show_fronts(answers(), ranking)
    else:
        show_ranking(answers(), ranking, show_all=show_all)


def _run(given: options.Given, *, is_json: bool, dashboard: str | None = None) -> None:
    """Runs a study with a live view, and ends with the ranking and what to do next."""
    from contextlib import closing, nullcontext

    from search.beside import DashboardBeside
    from search.cli.console import answers, notes, print_json, progress_bar, say
    from search.cli.live import live_view
    from search.cli.show import show_beside, show_ending, show_submission
    from search.cli.show_ranking import show_ranking
    from search.default_store import store_url
    from search.plan import read_plan
    from search.runner import run_plan

    plan = read_plan(given.source, given.values, options.NAMES)
    console = notes()
    beside = nullcontext() if dashboard is None else closing(DashboardBeside(dashboard))

    def on_submit(submission: "Submission") -> None:
        show_submission(console, submission)
        if shown is not None:
            log = submission.artifacts.dashboard_log
            lost = (
                "The dashboard has ended, and the search goes on: `convsearch dashboard` shows it "
                f"again. Its log: {log}"
            )
            shown.start(store_url(plan.store.url), log, lambda: say(console, lost))
            show_beside(console, shown)

    with beside as shown, progress_bar(console) as progress, live_view(console) as view:
        result = run_plan(
            plan,
            progress=progress,
            on_submit=on_submit,
            on_stop=lambda: say(console, STOPPING),
            view=view,
        )
    if is_json:
        print_json(result.ranking.to_json())
    else:
        show_ranking(answers(), result.ranking)
    show_ending(console, result)
    if shown is not None and not shown.is_lost:
        say(
            console,
            "The dashboard has ended with the search: `convsearch dashboard` shows all studies.",
        )
    if result.is_interrupted:
        raise typer.Exit(128 + (result.signal or signal.SIGINT))
    if result.status.record.has_failed:
        raise typer.Exit(1)


def _report(store: str | None, study: str) -> None:
    """Writes the report of a study into this folder, in the place of an earlier one."""
    from pathlib import Path

    from search.cli.console import notes, progress_bar, steps
    from search.cli.show_report import show_report
    from search.reporting import report

    console = notes()
    with progress_bar(console) as progress:
        written = report(
            store,
            study,
            Path(f"{study}-report"),
            is_forced=True,
            progress=progress,
            on_step=steps(console),
        )
    show_report(console, console, written)
