"""What `report` shows: where it is, and what it says in a few lines."""

from shlex import quote

from rich.console import Console

from analysis.formatting import show_accuracy
from search.cli.console import say
from search.cli.views.confirmation import show_scores, show_uses
from search.reports.report import Written


def show_report(console: Console, notes: Console, written: Written) -> None:
    """Says where the report is, which network won, and how good it is."""
    facts = written.facts
    winner = facts.winner
    how = "the median of several seeds" if winner.is_confirmed else "the best of the search"
    say(
        notes,
        f"Best of {facts.study}: trial {winner.trial.trial}, {winner.trial.family}, validation "
        f"accuracy {show_accuracy(winner.val_accuracy)} ({how}).",
    )
    test = facts.examined.get("test")
    if test is not None:
        show_scores(notes, "test", test.evaluation)
    show_uses(notes, facts.test_uses)
    if facts.is_partial and facts.is_search_over:
        again = f"`convsearch confirm {quote(facts.study)}`"
        why = f"The confirmation is not finished, and {again} goes on with it"
        say(notes, f"{why}: this report is partial.", style="yellow")
    elif facts.is_partial:
        say(notes, "The study is not over, so this report is partial.", style="yellow")
    for problem in written.problems:
        say(notes, problem, style="yellow")
    for path in written.files:
        console.print(str(path), soft_wrap=True)
