"""Output of `confirm`: accuracy of configs over several seeds, and the recommended one."""

from collections.abc import Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis import Ranking
from analysis.confirmation.comparison import Confirmation, Standing
from analysis.confirmation.trainings import Trainings
from analysis.confirmation_study import kind_of_trial
from analysis.formatting import format_accuracy, name_training
from analysis.report.facts import TestUse
from analysis.results.classification_metrics import Evaluation
from analysis.results.confidence_intervals import Score
from search.cli.console import print_line
from search.cli.views.ranking import describe_baseline
from search.cli.views.run import report_command
from search.evaluation.confirm import ConfirmResult, unconfirmed_leaders
from search.evaluation.model_selection import Winner
from spaces.wording import plural


def show_confirm_result(
    console: Console,
    stderr_console: Console,
    result: ConfirmResult,
    *,
    opens_test: bool | None = None,
    baseline: float | None = None,
) -> None:
    """Show the compared configs and the winner's scores.

    `opens_test` is `--test/--no-test`, and `baseline` the accuracy to beat.
    """
    trainings = result.trainings
    if result.confirmation is None or trainings is None:
        console.print(f"No training for {result.ranking.study} is complete yet.")
    else:
        show_confirmation(console, result.ranking, result.confirmation, trainings)
        if baseline is not None:
            print_line(console, f"baseline: {describe_baseline(baseline)}")
    if result.winner is None:
        print_line(stderr_console, "Not all trainings are done: the same command resumes them.")
        return
    show_winner(console, result.winner, trainings)
    if result.problem is not None:
        print_line(stderr_console, result.problem, style="yellow")
    elif result.test is not None:
        show_scores(console, "test", result.test)
    elif ahead := unconfirmed_leaders(result.ranking, trainings):
        names = ", ".join(map(str, ahead))
        why = f"Trials found since rank as high: {names}. The same command trains them again too"
        line = f"{why}; the test split was not used (--test uses it)."
        print_line(stderr_console, line, style="yellow")
    else:
        print_line(stderr_console, "The test split was not used (--test uses it, once).")
    show_test_uses(stderr_console, result.uses)
    command = report_command(result.ranking.study, result.run)
    print_line(stderr_console, f"Next: {command}{' --no-test' if opens_test is False else ''}")


def show_winner(console: Console, winner: Winner, trainings: Trainings | None) -> None:
    """Show whose weights are exported."""
    again = () if trainings is None else trainings.trainings
    seeds = [it.seed for it in again if it.number == winner.number]
    is_training = kind_of_trial(winner.study) == "training" and bool(seeds)
    name = (
        name_training(winner.number, winner.trial, seeds[0])
        if is_training
        else f"trial {winner.number} of {winner.study}"
    )
    print_line(
        console,
        f"Exported: {name}, validation accuracy {format_accuracy(winner.val_accuracy)}"
        + (" (its seed of median accuracy)." if is_training else "."),
    )


def show_scores(console: Console, split: str, found: Evaluation) -> None:
    """Show scores on a split, with 95 % intervals."""
    scores = {
        "accuracy": found.accuracy,
        "balanced accuracy": found.balanced_accuracy,
        "macro F1": found.macro_f1,
        "ROC AUC": found.macro_auc,
    }
    words = (f"{name} {it.value:.4f} ({_ends(it)})" for name, it in scores.items())
    print_line(console, f"On the {split} split, with 95 % intervals: {', '.join(words)}.")
    if found.n_groups == 1:
        print_line(
            console,
            f"All images of the {split} split are of one group, such as a patient: the scores say"
            " little of others.",
            style="yellow",
        )


def _ends(score: Score) -> str:
    return "interval unknown" if score.is_constant else f"{score.low:.4f}–{score.high:.4f}"


def show_test_uses(console: Console, uses: Sequence[TestUse]) -> None:
    """Show when, by which command and for which network the test split was used."""
    for use in uses:
        when = datetime.fromisoformat(use.at).strftime("%Y-%m-%d %H:%M UTC")
        network = f"{kind_of_trial(use.study)} {use.trial} of {use.study}"
        print_line(console, f"The test split was used on {when} by {use.by}, for {network}.")
    if len(uses) > 1:
        print_line(console, "Used more than once, it gives optimistic scores.", style="yellow")


def show_confirmation(
    console: Console, ranking: Ranking, found: Confirmation, trainings: Trainings
) -> None:
    """Show the configs by mean, best first, and the recommendation."""
    console.print(f"{ranking.study}: validation accuracy over seeds")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))  # fits 80 columns
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("family", no_wrap=True)
    for column in ("seeds", "mean", "sd", "95 % interval", "best?", "parameters"):
        table.add_column(column, justify="right", no_wrap=True)
    families = {trial.trial: trial.family for trial in ranking.trials}
    for it in found.standings:
        table.add_row(
            str(it.trial),
            families.get(it.trial, ""),
            str(it.n_seeds),
            format_accuracy(it.mean),
            "-" if it.deviation is None else f"{it.deviation:.4f}",
            _interval(it),
            _chance(it.chance),
            "-" if it.parameters is None else f"{it.parameters:,}",
            style="bold" if it is found.recommended and trainings.has_enough_seeds else "",
        )
    console.print(table)
    print_line(console, trainings.describe_recommendation(found))
    if trainings.n_skipped:
        words = f"Skipped: {plural(trainings.n_skipped, 'training')}"
        print_line(console, f"{words} of configs that are clearly worse.")
    failed = [f"{it.n_failed} of trial {it.trial}" for it in found.standings if it.n_failed]
    if failed:
        print_line(console, f"Failed trainings: {', '.join(failed)}.", style="yellow")


def _interval(it: Standing) -> str:
    if it.low is None or it.high is None:
        return "-"
    return f"{max(0.0, it.low):.4f}–{min(1.0, it.high):.4f}"


def _chance(chance: float | None) -> str:
    if chance is None:
        return "-"
    return "< 1 %" if chance < 0.01 else f"{100 * chance:.0f} %"
