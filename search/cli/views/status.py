"""Output about a source, a study, its trials and its workers."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from search.dashboard.child_process import DashboardProcess
    from search.data import SourceSummary
    from search.studies.submission import Submission
    from search.workers.local_run import RunResult

N_TOP = 10


def show_submission(
    console: Console, submission: "Submission", *, with_workers: bool = True
) -> None:
    """Show the study, its images, families and workers."""
    from spaces.models.backbones import Weights, find_backbone

    settings = submission.settings
    data = next(iter(submission.data.values()))
    shapes = [images.image_shape for images in submission.data.values()]
    sizes = " and ".join(f"{height}×{width}" for height, width, _ in shapes)
    color = "grey" if shapes[0][-1] == 1 else "color"
    n_images = sum(data.counts.values())
    families = ", ".join(settings.space["families"])
    verb = "Study" if submission.is_new else "Resuming study"
    workers = f"; {plural(submission.n_workers, 'worker')}" if with_workers else ""
    print_line(console, f"{verb} {submission.record.name} in {submission.store.shown_url}")
    print_line(
        console,
        f"{plural(n_images, color + ' image')} of {sizes} in "
        f"{plural(data.n_classes, 'class')} ({data.counts['train']:,} train, "
        f"{data.counts['val']:,} val, {data.counts['test']:,} test); families: "
        f"{families}{workers}",
    )
    if settings.weights is not None and Weights(settings.weights.source).path is not None:
        backbone = find_backbone(str(settings.space["domains"]["backbone"]["values"][0]))
        mode = settings.weights.mode or f"{backbone.mode}, as Keras' own weights"
        source = settings.weights.source
        print_line(console, f"weights: {source}, which expect pixels as {mode} (--weights-mode)")
    for note in submission.notes:
        print_line(console, note)


def show_dashboard_address(console: Console, dashboard: "DashboardProcess") -> None:
    """Show the address of the dashboard beside a search."""
    console.print(f"Dashboard: {dashboard.address}", soft_wrap=True)


def describe_submission(submission: "Submission") -> dict[str, Any]:
    """Return a submitted study as JSON; the store's URL has no password."""
    record = submission.record
    return {
        "study": record.name,
        "store": submission.store.shown_url,
        "is_new": submission.is_new,
        "priority": record.priority,
        "budget": {"trials": record.n_trials, "timeout_s": record.timeout_s},
    }


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


def show_ending(console: Console, result: "RunResult") -> None:
    """Show how a run ended, and the next commands."""
    status, record = result.status, result.status.record
    counts = status.counts
    waiting = f", {counts['waiting']} waiting" if counts["waiting"] else ""
    print_line(
        console,
        f"{format_progress(status.n_done, record.n_trials)} in "
        f"{format_duration(record.active_s)} of "
        f"work: {counts['complete']} complete, {counts['pruned']} pruned, {counts['unfit']} "
        f"unfit; {counts['rejected']} rejected, {counts['fail']} failed{waiting}.",
    )
    if record.end_reason is not None:
        print_line(console, record.end_reason)
    if result.is_interrupted:
        how = "Interrupted" if result.signal else "Stopped by `convsearch stop`"
        print_line(console, f"{how}: nothing is lost, the same command resumes the study.")
        return
    if record.has_failed:
        return
    place, name = f" --store {result.store}" if result.store else "", quote(record.name)
    print_line(
        console,
        f"Next: convsearch confirm {name}{place} · {report_command(record.name, result.store)} "
        "· raise --trials to search on",
    )


def report_command(study: str, store: str) -> str:
    """Return the command that writes or replaces a study's report; no `store` is the default."""
    from search.reports.output_folder import has_report

    folder = f"{study}-report"
    force = " --force" if has_report(Path(folder)) else ""
    place = f" --store {store}" if store else ""
    return f"convsearch report {quote(study)} --out {quote(folder)}{force}{place}"


def describe_leading(status: StudyStatus) -> str:
    """Describe the config with the best mean so far in a confirmation."""
    found = status.leading
    if found is None:
        return "no config has two values yet"
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
    if status.trials_per_hour is not None:
        print_line(
            console,
            f"pace: {status.trials_per_hour:.0f} trials an hour, about "
            f"{format_duration(status.time_left_s)} of work left",
        )
    if record.end_reason is not None:
        print_line(console, f"ended: {record.end_reason}")
    if record.is_stopped and not status.is_spent:
        print_line(console, "stopped: `run` on the same source resumes it")
    if len(status.families) > 1 and not status.is_confirmation:
        show_families(console, status.families)
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


def show_source(console: Console, summary: "SourceSummary") -> None:
    """Show the images of a source and those that a search would use."""
    sizes = summary.sizes
    smallest = f"{sizes.min_width}×{sizes.min_height}"
    largest = f"{sizes.max_width}×{sizes.max_height}"
    n_images = sum(sum(counts.values()) for counts in summary.counts.values())
    console.print(
        f"{plural(n_images, summary.color + ' image')} in "
        f"{plural(len(summary.classes), 'class')} ({summary.kind}), "
        + (smallest if smallest == largest else f"{smallest} to {largest}")
        + " pixels"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    found, used = list(summary.counts), list(summary.used)
    for name in (*found, *(f"use {split}" for split in used)):
        table.add_column(name, justify="right")
    for class_name in summary.classes:
        cells = [summary.counts[split].get(class_name, 0) for split in found]
        cells += [summary.used[split].get(class_name, 0) for split in used]
        table.add_row(class_name, *(f"{n:,}" for n in cells))
    console.print(table)
    for warning in summary.warnings:
        print_line(console, f"Note: {warning}", style="yellow")
    for name, reason in list(summary.broken.items())[:N_TOP]:
        print_line(console, f"Skipped: {name}: {reason}", style="yellow")
    if len(summary.broken) > N_TOP:
        console.print(f"and {len(summary.broken) - N_TOP} more (--json lists all)")
