"""Output about the state of a study: its trials, families and workers."""

from collections.abc import Sequence
from datetime import timedelta
from shlex import quote

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis import FamilySummary, StudyStatus, family_of
from analysis.formatting import (
    format_accuracy,
    format_duration,
    format_epoch_time,
    format_progress,
)
from search.cli.console import print_line
from spaces.wording import plural


def show_families(console: Console, families: Sequence[FamilySummary]) -> None:
    """Show the best trial of each family, its number of trials and their time."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))  # fits 80 columns
    table.add_column("family", no_wrap=True)
    names = ("val acc", "trial", "parameters", "trials", "complete", "pruned", "time", "epoch")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for place, found in enumerate(families):
        table.add_row(
            found.family,
            format_accuracy(found.val_accuracy),
            "-" if found.trial is None else str(found.trial),
            "-" if found.parameters is None else f"{found.parameters:,}",
            str(found.n_trials),
            str(found.n_complete),
            str(found.n_pruned),
            format_duration(found.seconds) if found.n_epochs else "-",
            format_epoch_time(found.epoch_s),
            style="bold" if place == 0 and found.trial is not None else "",
        )
    console.print(table)


def describe_leading(status: StudyStatus) -> str:
    """Describe the config with the best mean so far in a confirmation."""
    found = status.leading
    if found is None:
        return "no config leads yet: each needs the results of two seeds"
    mean = format_accuracy(found.mean)
    return f"leading mean {mean} of trial {found.trial} ({plural(found.n_seeds, 'seed')})"


def show_status(console: Console, status: StudyStatus) -> None:
    """Show counts, workers, pace and time left of a study."""
    record, best = status.record, status.best
    counts = ", ".join(f"{n} {name}" for name, n in status.counts.items() if n)
    console.print(
        f"{record.name}: {format_progress(status.n_done, record.n_trials)} ({counts or 'none'})"
    )
    if record.timeout_s is not None:
        spent, limit = (timedelta(seconds=int(it)) for it in (record.active_s, record.timeout_s))
        console.print(f"time: {spent} of {limit}")
    if status.is_confirmation:
        console.print(describe_leading(status))
    if best is not None:
        console.print(f"best: {format_accuracy(best.value)} by trial {best.number}")
    if status.trials_per_hour is not None and not status.is_over:
        print_line(
            console,
            f"pace: {status.trials_per_hour:.0f} trials an hour, about "
            f"{format_duration(status.time_left_s)} of work left",
        )
    if record.end_reason is not None:
        print_line(console, f"ended: {record.end_reason}")
    if record.is_stopped and not status.is_spent:
        again = f"`convsearch study resume {quote(record.name)}`"
        print_line(console, f"stopped: {again} opens it again")
    families = () if status.is_confirmation else status.families
    if len(families) > 1:
        show_families(console, families)
    if not status.workers:
        console.print("no worker is running")
        return
    names = ("worker", "host", "device", "pid", "trial", "epoch", "val acc", "heartbeat")
    table = Table(*names, box=SIMPLE_HEAD, pad_edge=False)
    by_number = {row.number: row for row in status.trials}
    for worker in status.workers:
        row = by_number.get(-1 if worker.trial_number is None else worker.trial_number)
        table.add_row(
            worker.worker_id[:8],
            worker.host,
            worker.device,
            str(worker.pid),
            "-" if row is None else f"{row.number} {family_of(row)}".rstrip(),
            "-" if row is None else str(row.curve.n_epochs),
            format_accuracy(None if row is None else row.curve.best_accuracy),
            f"{worker.last_seen_s:.0f} s ago",
        )
    console.print(table)
