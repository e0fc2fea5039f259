"""Output of `rank`: the trials of a study, best first."""

from collections.abc import Callable, Sequence

from rich.console import Console

from analysis import Cost, RankedTrial, Ranking
from analysis.formatting import format_accuracy, format_duration, summarize_config
from search.cli.views.long_table import LongTable
from search.cli.views.status import show_families

N_TOP = 10
MEASURES = {
    "val_accuracy": "validation accuracy",
    "balanced_accuracy": "balanced validation accuracy",
    "auc": "area under the ROC curve (validation)",
}
SHORT = {"val_accuracy": "val acc", "balanced_accuracy": "bal acc", "auc": "val auc"}
COSTS: dict[Cost, str] = {"parameters": "parameters", "seconds": "training time"}


def show_ranking(
    console: Console, ranking: Ranking, *, show_all: bool = False, baseline: float | None = None
) -> None:
    """Show the complete trials, best first, or all trials with the reasons why they ended.

    `baseline` is the accuracy to beat.
    """
    trials = ranking.trials if show_all else ranking.complete
    if not trials:
        console.print(f"Study {ranking.study} has no complete trial yet.")
        return
    shown = trials if show_all else trials[:N_TOP]
    console.print(f"{ranking.study}: trials by {MEASURES[ranking.metric]}")
    note = describe_ending if show_all else _summarize_config
    _show_trials(console, ranking, shown, "state and reason" if show_all else "network", note)
    if len(shown) < len(trials):
        console.print(f"and {len(trials) - len(shown)} more complete trials (--json has all)")
    if baseline is not None:
        console.print(f"baseline: {describe_baseline(baseline)}")


def describe_baseline(baseline: float) -> str:
    """Return what the baseline of a study is."""
    reached = format_accuracy(baseline)
    return f"intensity statistics alone reach a validation accuracy of {reached}"


def show_family_ranking(console: Console, ranking: Ranking) -> None:
    """Show the families of a study, the one with the best trial first."""
    if not ranking.families:
        console.print(f"Study {ranking.study} has no trial yet.")
        return
    console.print(f"{ranking.study}: families by their best trial's validation accuracy")
    show_families(console, ranking.families)


def show_within(console: Console, ranking: Ranking, distance: float) -> None:
    """Show the best trial and those within a distance that are smaller or faster."""
    best, *others = ranking.within(distance) or (None,)
    if best is None:
        console.print(f"Study {ranking.study} has no complete trial yet.")
        return
    measure = MEASURES[ranking.metric]
    console.print(
        f"{ranking.study}: within {distance:g} of the best {measure}, and smaller or faster"
    )

    def compare(trial: RankedTrial) -> str:
        return ", ".join(filter(None, (_share(trial, best, cost) for cost in COSTS)))

    _show_trials(console, ranking, (best, *others), "against the best", compare)
    if not others:
        console.print("No other trial is as good and smaller or faster.")


def show_fronts(console: Console, ranking: Ranking) -> None:
    """Show the Pareto fronts of accuracy against size and against training time."""
    if not ranking.complete:
        console.print(f"Study {ranking.study} has no complete trial yet.")
        return
    for cost, name in COSTS.items():
        console.print(f"{ranking.study}: no trial is better than these at no more {name}")
        _show_trials(console, ranking, ranking.front(cost), "network", _summarize_config)


def _show_trials(
    console: Console,
    ranking: Ranking,
    trials: Sequence[RankedTrial],
    last: str,
    note: Callable[[RankedTrial], str],
) -> None:
    columns = ("rank", "trial", SHORT[ranking.metric], "epochs", "time", "parameters", last)
    rows = [(*_cells(trial, ranking.metric), note(trial)) for trial in trials]
    n_bold = sum(trial.rank == 1 for trial in trials[:1])
    console.print(LongTable(columns, rows, n_bold))


def _summarize_config(trial: RankedTrial) -> str:
    return summarize_config(trial.config)


def _share(trial: RankedTrial, best: RankedTrial, cost: Cost) -> str:
    """Return the cost of a trial relative to the best; empty if it is not lower."""
    if trial.cost(cost) >= best.cost(cost):
        return ""
    return f"{trial.cost(cost) / best.cost(cost):.0%} of its {COSTS[cost]}"


def _cells(trial: RankedTrial, metric: str) -> tuple[str, ...]:
    return (
        "-" if trial.rank is None else str(trial.rank),
        str(trial.trial),
        format_accuracy(trial.value(metric)),
        f"{trial.best_epoch}/{trial.epochs}" if trial.epochs else "-",
        format_duration(trial.seconds) if trial.epochs else "-",
        "-" if trial.parameters is None else f"{trial.parameters:,}",
    )


def describe_ending(trial: RankedTrial) -> str:
    """Return the state of a trial, with the reason if there is one."""
    kind = trial.kind or trial.state.lower()
    return f"{kind}: {trial.reason}" if trial.reason else kind
