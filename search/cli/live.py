"""The live view of a run: a panel on a terminal, a line for each ended trial elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis import StudyStatus
from search.cli.console import say
from search.cli.show import show_accuracy, show_duration
from storage import TrialRow

N_RECENT = 3
BAR_WIDTH = 30


@contextmanager
def live_view(console: Console) -> Iterator[Callable[[StudyStatus], None]]:
    """Gives a function that shows a status."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    live = Live(console=console, auto_refresh=False, transient=True)

    def show(status: StudyStatus) -> None:
        if not live.is_started:
            live.start()
        live.update(render(status), refresh=True)

    try:
        yield show
    finally:
        live.stop()


def render(status: StudyStatus) -> RenderableType:
    """Draws the panel: budget, best, running trials, those that ended last."""
    parts: list[RenderableType] = [_budget_line(status), _best_line(status)]
    if status.running:
        parts.append(_running_table(status))
    ended = _ended(status)[-N_RECENT:]
    parts += [Text(f"  {describe_ending(row)}", style="dim") for row in reversed(ended)]
    return Group(*parts)


def describe_ending(row: TrialRow) -> str:
    """Gives how a trial ended in one line."""
    outcome = row.outcome
    kind = row.state.lower() if outcome is None else outcome.kind
    curve = row.curve
    words = [f"trial {row.number} {kind}"]
    if curve.n_epochs:
        words.append(
            f"{show_accuracy(curve.best_accuracy)} "
            f"({curve.n_epochs} epochs, {show_duration(curve.seconds)})"
        )
    if outcome is not None and outcome.reason and kind != "pruned":
        words.append(outcome.reason)
    return ": ".join(words)


def _ended(status: StudyStatus) -> list[TrialRow]:
    """Gives the trials that have ended, in that order; proposals refused at once are no news."""
    rows = [
        row
        for row in status.trials
        if row.finished is not None
        and row.outcome is not None
        and row.outcome.kind not in {"rejected", "repeat"}
    ]
    return sorted(rows, key=lambda row: (row.finished or datetime.min, row.number))


def _budget_line(status: StudyStatus) -> RenderableType:
    record, counts = status.record, status.counts
    line = Table.grid(padding=(0, 2))
    if record.n_trials is not None:
        bar = ProgressBar(total=record.n_trials, completed=status.n_done, width=BAR_WIDTH)
        done = f"{status.n_done}/{record.n_trials} trials"
    else:
        whole = record.timeout_s or 1.0
        bar = ProgressBar(total=whole, completed=min(whole, record.active_s), width=BAR_WIDTH)
        done = f"{status.n_done} trials"
    left = "" if status.time_left_s is None else f"about {show_duration(status.time_left_s)} left"
    others = ", ".join(
        f"{counts[name]} {name}"
        for name in ("pruned", "unfit", "rejected", "fail")
        if counts[name]
    )
    line.add_row(bar, done, others, left)
    return line


def _best_line(status: StudyStatus) -> Text:
    best = status.best
    if best is None:
        return Text("no trial is complete yet", style="dim")
    return Text(f"best {show_accuracy(best.value)} by trial {best.number}", style="bold green")


def _running_table(status: StudyStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in status.running:
        curve = row.curve
        started = f"epoch {curve.n_epochs}" if curve.n_epochs else "starting"
        accuracy = f"val acc {show_accuracy(curve.best_accuracy)}" if curve.n_epochs else ""
        table.add_row(f"  trial {row.number}", started, accuracy)
    return table


class _Lines:
    """A line for each trial that has ended since the last call."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: set[int] | None = None

    def show(self, status: StudyStatus) -> None:
        ended = _ended(status)
        if self._shown is None:  # What ended before this run is not news.
            self._shown = {row.number for row in ended}
        for row in ended:
            if row.number not in self._shown:
                self._shown.add(row.number)
                say(self._console, self._line(status, row))

    def _line(self, status: StudyStatus, row: TrialRow) -> str:
        budget = "" if status.record.n_trials is None else f"/{status.record.n_trials}"
        best = show_accuracy(None if status.best is None else status.best.value)
        return f"[{status.n_done}{budget}] {describe_ending(row)}; best {best}"
