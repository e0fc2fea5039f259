"""Output of `report`: its files and a short summary."""

from shlex import quote

from rich.console import Console

from analysis.formatting import format_accuracy
from search.cli.console import print_line
from search.cli.views.confirmation import show_scores, show_test_uses
from search.reports.report import WrittenReport


def show_report(
    console: Console, stderr_console: Console, written: WrittenReport, *, options: str = ""
) -> None:
    """Show the report's files, the winner and its scores.

    `options` are those of the command that the next command needs too, after a blank.
    """
    facts = written.facts
    winner = facts.winner
    how = "the median of several seeds" if winner.is_confirmed else "the best of the search"
    print_line(
        stderr_console,
        f"Best of {facts.study}: trial {winner.trial.trial}, {winner.trial.family}, validation "
        f"accuracy {format_accuracy(winner.val_accuracy)} ({how}).",
    )
    test = facts.examined.get("test")
    if test is not None:
        show_scores(stderr_console, "test", test.evaluation)
    show_test_uses(stderr_console, facts.test_uses)
    warnings = list(written.problems)
    if facts.is_partial and facts.is_search_over:
        again = f"`convsearch confirm {quote(facts.study)}{options}`"
        why = f"The confirmation is not finished, and {again} resumes it"
        warnings.insert(0, f"{why}: this report is partial.")
    elif facts.is_partial:
        warnings.insert(0, "The study is not over, so this report is partial.")
    for warning in warnings:
        print_line(stderr_console, warning, style="yellow")
    for path in written.files:
        console.print(str(path), soft_wrap=True)
