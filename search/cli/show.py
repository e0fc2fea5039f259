"""What commands show of a source, a study and its trials, as tables of text."""

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis import RankedTrial, Ranking, StudyStatus
from search.cli.console import say
from search.submit import DEFAULT_STORE

if TYPE_CHECKING:
    from search.data import SourceSummary
    from search.runner import RunResult
    from search.submit import Submission

N_TOP = 10


def show_duration(seconds: float | None) -> str:
    """Gives `40 s`, `12 min` or `3 h 20 min`."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def show_accuracy(value: float | None) -> str:
    """Gives an accuracy with four decimals."""
    return "-" if value is None else f"{value:.4f}"


def show_submission(console: Console, submission: "Submission") -> None:
    """Says what is searched, on what, and where it goes."""
    data, settings = submission.data, submission.settings
    height, width, channels = data.image_shape
    colour = "grey" if channels == 1 else "colour"
    n_images = sum(data.counts.values())
    families = ", ".join(settings.space["families"])
    verb = "Study" if submission.is_new else "Resuming study"
    say(console, f"{verb} {submission.record.name} in {submission.store.shown_url}")
    say(
        console,
        f"{n_images:,} {colour} images of {width}×{height} in {data.n_classes} classes "
        f"({data.counts['train']:,} train, {data.counts['val']:,} val, {data.counts['test']:,} "
        f"test); families: {families}; {submission.n_workers} "
        f"worker{'s' if submission.n_workers > 1 else ''}",
    )


def show_ranking(console: Console, ranking: Ranking, *, show_all: bool = False) -> None:
    """Shows the complete trials, best first, or every trial with the reason for its end."""
    trials = ranking.trials if show_all else ranking.complete
    if not trials:
        console.print(f"Study {ranking.study} has no complete trial yet.")
        return
    shown = trials if show_all else trials[:N_TOP]
    console.print(f"{ranking.study}: trials by validation accuracy")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rank", "trial", "val acc", "epochs", "time", "parameters"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state and reason" if show_all else "network")
    for trial in shown:
        note = describe_ending(trial) if show_all else describe_network(trial)
        table.add_row(*_cells(trial), note, style="bold" if trial.rank == 1 else "")
    console.print(table)
    if len(shown) < len(trials):
        console.print(f"and {len(trials) - len(shown)} more complete trials (--json has all)")


def _cells(trial: RankedTrial) -> tuple[str, ...]:
    return (
        "-" if trial.rank is None else str(trial.rank),
        str(trial.trial),
        show_accuracy(trial.val_accuracy),
        f"{trial.best_epoch}/{trial.epochs}" if trial.epochs else "-",
        show_duration(trial.seconds) if trial.epochs else "-",
        "-" if trial.parameters is None else f"{trial.parameters:,}",
    )


def describe_ending(trial: RankedTrial) -> str:
    """Gives a trial's state, with the reason where there is one."""
    return f"{trial.state.lower()}: {trial.reason}" if trial.reason else trial.state.lower()


def describe_network(trial: RankedTrial) -> str:
    """Gives a network in a few words: its family, what optimizes it, its activation."""
    known = trial.params
    words = [trial.family]
    if "stages" in known:
        words.append(f"{known['stages']} stages")
    words += [str(known[name]) for name in ("activation", "optimizer") if name in known]
    rate = known.get("learning_rate", known.get("sgd_learning_rate"))
    if rate is not None:
        words.append(f"lr {rate:.2g}")
    return ", ".join(words)


def show_ending(console: Console, result: "RunResult") -> None:
    """Says how a run ended and what to do next."""
    status, record = result.status, result.status.record
    counts = status.counts
    budget = "" if record.n_trials is None else f" of {record.n_trials}"
    say(
        console,
        f"{status.n_done}{budget} trials done in {show_duration(record.active_s)} of work: "
        f"{counts['complete']} complete, {counts['pruned']} pruned, {counts['unfit']} unfit; "
        f"{counts['rejected']} rejected, {counts['fail']} failed.",
    )
    if record.end_reason is not None:
        say(console, record.end_reason)
    if result.is_interrupted:
        say(console, "Interrupted: nothing is lost, the same command goes on where it stopped.")
        return
    place = "" if result.store == DEFAULT_STORE else f" --store {result.store}"
    say(
        console,
        f"Next: convsearch rank {record.name} --all{place} · raise --trials to search on",
    )


def show_status(console: Console, status: StudyStatus) -> None:
    """Shows counts, workers, pace and time left."""
    record, best = status.record, status.best
    budget = "" if record.n_trials is None else f" of {record.n_trials}"
    counts = ", ".join(f"{n} {name}" for name, n in status.counts.items() if n)
    console.print(f"{record.name}: {status.n_done}{budget} trials done ({counts or 'none'})")
    if record.timeout_s is not None:
        spent, whole = (
            timedelta(seconds=int(record.active_s)),
            timedelta(seconds=int(record.timeout_s)),
        )
        console.print(f"time: {spent} of {whole}")
    if best is not None:
        console.print(f"best: {show_accuracy(best.value)} by trial {best.number}")
    if status.trials_per_hour is not None:
        say(
            console,
            f"pace: {status.trials_per_hour:.0f} trials an hour, about "
            f"{show_duration(status.time_left_s)} of work left",
        )
    if record.end_reason is not None:
        say(console, f"ended: {record.end_reason}")
    if not status.workers:
        console.print("no worker is at work")
        return
    names = ("worker", "host", "pid", "trial", "epoch", "val acc", "last seen")
    table = Table(*names, box=SIMPLE_HEAD, pad_edge=False)
    by_number = {row.number: row for row in status.trials}
    for worker in status.workers:
        row = by_number.get(-1 if worker.trial_number is None else worker.trial_number)
        table.add_row(
            worker.worker_id[:8],
            worker.host,
            str(worker.pid),
            "-" if row is None else str(row.number),
            "-" if row is None else str(row.curve.n_epochs),
            show_accuracy(None if row is None else row.curve.best_accuracy),
            f"{worker.last_seen_s:.0f} s ago",
        )
    console.print(table)


def show_source(console: Console, summary: "SourceSummary") -> None:
    """Shows what is in a source and what a search would use of it."""
    sizes = summary.sizes
    smallest = f"{sizes.min_width}×{sizes.min_height}"
    largest = f"{sizes.max_width}×{sizes.max_height}"
    n_images = sum(sum(counts.values()) for counts in summary.counts.values())
    console.print(
        f"{n_images:,} {summary.color} images in {len(summary.classes)} classes ({summary.kind}), "
        + (smallest if smallest == largest else f"{smallest} to {largest}")
        + " pixels",
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
        say(console, f"Note: {warning}", style="yellow")
    for name, reason in list(summary.broken.items())[:N_TOP]:
        say(console, f"Left out: {name}: {reason}", style="yellow")
    if len(summary.broken) > N_TOP:
        console.print(f"and {len(summary.broken) - N_TOP} more (--json lists all)")
