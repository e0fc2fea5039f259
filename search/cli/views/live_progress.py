"""The live view of `run`: a panel on a terminal, a line per ended trial elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis import StudyStatus, family_of
from analysis.confirmation_study import origin_of_training
from analysis.formatting import format_accuracy, format_duration, name_training
from search.cli.console import print_line
from search.cli.views.status import describe_leading
from spaces.wording import plural
from storage import HEARTBEAT_INTERVAL_S, TrialRow

N_RECENT = 3
BAR_WIDTH = 30
STORE_SILENCE_S = 2.2 * HEARTBEAT_INTERVAL_S
"""Without a heartbeat of any worker for so long, the store is probably blocked."""


@contextmanager
def live_view(console: Console) -> Iterator[Callable[[StudyStatus], None]]:
    """Yield a function that shows a status."""
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
    """Draw the panel: budget, best, families if several, running and last ended trials."""
    parts: list[RenderableType] = [_budget_line(status), _best_line(status)]
    if len(status.families) > 1 and not status.is_confirmation:
        parts.append(_families_line(status))
    if status.running:
        parts.append(_running_table(status))
    silent_s = min((worker.last_seen_s for worker in status.workers), default=0.0)
    if silent_s > STORE_SILENCE_S:
        words = f"no worker has written to the store for {silent_s:.0f} s: is it locked, or full?"
        parts.append(Text(f"{words} See the workers' logs.", style="yellow"))
    several = len(status.families) > 1
    for row in reversed(_ended(status)[-N_RECENT:]):
        parts.append(Text(f"  {describe_ending(row, with_family=several)}", style="dim"))
    return Group(*parts)


def describe_ending(row: TrialRow, *, with_family: bool = False) -> str:
    """Describe how a trial ended in one line."""
    outcome = row.outcome
    kind = row.state.lower() if outcome is None else outcome.kind
    curve = row.curve
    words = [f"{_name(row, with_family=with_family)} {kind}"]
    if curve.n_epochs:
        words.append(
            f"{format_accuracy(curve.best_accuracy)} "
            f"({plural(curve.n_epochs, 'epoch')}, {format_duration(curve.seconds)})"
        )
    if outcome is not None and outcome.reason and kind != "pruned":
        words.append(outcome.reason)
    return ": ".join(words)


def _name(row: TrialRow, *, with_family: bool) -> str:
    origin = origin_of_training(row)
    if origin is not None:
        return name_training(row.number, origin["trial"], origin["seed"])
    return f"trial {row.number} {family_of(row) if with_family else ''}".rstrip()


def _ended(status: StudyStatus) -> list[TrialRow]:
    """Return the trials that have ended, oldest first, without rejected and repeated configs."""
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
        shown = min(status.n_done, record.n_trials)
        bar = ProgressBar(total=record.n_trials, completed=shown, width=BAR_WIDTH)
        done = f"{status.n_done}/{plural(record.n_trials, 'trial')}"
    else:
        whole = record.timeout_s or 1.0
        bar = ProgressBar(total=whole, completed=min(whole, record.active_s), width=BAR_WIDTH)
        done = plural(status.n_done, "trial")
    left_s = status.time_left_s
    left = "" if left_s is None else f"about {format_duration(left_s)} left"
    others = ", ".join(
        f"{counts[name]} {name}"
        for name in ("pruned", "unfit", "rejected", "fail")
        if counts[name]
    )
    line.add_row(bar, done, others, left)
    return line


def _best_line(status: StudyStatus) -> Text:
    best = status.best
    if status.is_confirmation:
        return Text(describe_leading(status), style="bold green")
    if best is None:
        return Text("no trial is complete yet", style="dim")
    return Text(f"best {format_accuracy(best.value)} by trial {best.number}", style="bold green")


def _families_line(status: StudyStatus) -> Text:
    words = [
        f"{found.family} {format_accuracy(found.val_accuracy)} ({found.n_trials})"
        for found in status.families
    ]
    return Text("  ".join(words))


def _running_table(status: StudyStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    activities = {worker.trial_number: worker.activity for worker in status.workers}
    for row in status.running:
        curve = row.curve
        activity = activities.get(row.number) or "starting"
        started = f"epoch {curve.n_epochs}" if curve.n_epochs else activity
        accuracy = f"val acc {format_accuracy(curve.best_accuracy)}" if curve.n_epochs else ""
        name = _name(row, with_family=len(status.families) > 1)
        table.add_row(f"  {name}", started, accuracy)
    return table


class _Lines:
    """Prints a line per trial that has ended since the last call."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: set[int] | None = None

    def show(self, status: StudyStatus) -> None:
        ended = _ended(status)
        if self._shown is None:  # Trials that ended before this run are not shown.
            self._shown = {row.number for row in ended}
        for row in ended:
            if row.number not in self._shown:
                self._shown.add(row.number)
                print_line(self._console, self._line(status, row))

    def _line(self, status: StudyStatus, row: TrialRow) -> str:
        budget = "" if status.record.n_trials is None else f"/{status.record.n_trials}"
        best = f"best {format_accuracy(None if status.best is None else status.best.value)}"
        if status.is_confirmation:
            best = describe_leading(status)
        ending = describe_ending(row, with_family=len(status.families) > 1)
        return f"[{status.n_done}{budget}] {ending}; {best}"
