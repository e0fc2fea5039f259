"""The command `rank`."""

from typing import Annotated

import typer

from search.cli import options
from search.cli.store import open_for_reading


def rank(
    study: options.Study,
    store: options.Store = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Every trial, with the reason why it ended.")
    ] = False,
    by_family: Annotated[
        bool, typer.Option("--by-family", help="The best trial of each family, and its cost.")
    ] = False,
    within: Annotated[
        float | None,
        typer.Option(
            metavar="DISTANCE",
            help="Smaller or faster trials within this distance of the best, such as 0.01.",
            show_default=False,
        ),
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option("--pareto", help="Pareto fronts of accuracy against size and training time."),
    ] = False,
    metric: Annotated[
        str,
        typer.Option(help="val_accuracy, balanced_accuracy or auc, all on the validation split."),
    ] = "val_accuracy",
    json: options.Json = False,
) -> None:
    """Rank the trials of a study by validation accuracy."""
    from analysis import rank as rank_trials
    from search.cli.console import print_json, stdout_console
    from search.cli.views.ranking import (
        show_family_ranking,
        show_fronts,
        show_ranking,
        show_within,
    )
    from search.settings.stored import load_baseline

    views = {
        "--all": show_all, "--by-family": by_family, "--within": within is not None,
        "--pareto": pareto,
    }  # fmt: skip
    asked = [name for name, is_asked in views.items() if is_asked]
    if len(asked) > 1:
        raise typer.BadParameter(f"{' and '.join(asked)} show different things: give one of them.")
    if within is not None and not within >= 0:
        raise typer.BadParameter(f"--within: expected 0 or more. Received: {within}")
    with open_for_reading(store) as opened_store:
        baseline = load_baseline(opened_store, study)
        ranking = rank_trials(opened_store, study, metric=metric, is_brief=not json)
    if json:
        trials = ranking.counted if within is None else ranking.within(within)
        document = ranking.to_json() | {"trials": [trial.to_json() for trial in trials]}
        document["baseline"] = baseline
        if pareto:  # Only then: times differ between runs, and all else follows from the seed.
            document["pareto"] = ranking.fronts_to_json()
        print_json(document)
    elif by_family:
        show_family_ranking(stdout_console(), ranking)
    elif within is not None:
        show_within(stdout_console(), ranking, within)
    elif pareto:
        show_fronts(stdout_console(), ranking)
    else:
        show_ranking(stdout_console(), ranking, show_all=show_all, baseline=baseline)
