"""Output of `study` and `stop`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from shlex import quote

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis.formatting import format_accuracy, format_duration, printable
from search.cli.console import print_line
from search.cli.next_command import needed_options, search_command
from search.data import DataSettings
from search.settings.stored import StudySettings
from search.studies.deletion import DeletionSummary
from search.studies.fork import Fork
from search.studies.listing import StudyListing
from search.studies.resumption import Resumption
from spaces import Limits
from spaces.parameters.narrowing import describe_domains
from spaces.wording import plural
from storage import StudyRecord, WorkerRow

SHOWN_APART = ("source", "image_size", "max_images", "seed")
"""Settings of images that are shown whatever they are."""


def show_study_list(console: Console, items: Sequence[StudyListing]) -> None:
    """Show the studies of a store."""
    if not items:
        console.print("There is no study yet.")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("study", "state"):
        table.add_column(name, no_wrap=name == "state", overflow="fold")
    for name in ("done", "budget", "best", "workers", "first trial", "files"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in items:
        found = item.overview
        table.add_row(
            found.name,
            found.state,
            f"{found.n_done:,}",
            show_budget(found.budget, found.timeout_s),
            format_accuracy(item.best),
            str(found.n_workers),
            "-" if found.created is None else _local(found.created),
            show_bytes(item.n_bytes),
        )
    console.print(table)


def show_budget(n_trials: int | None, timeout_s: float | None) -> str:
    """Return `30`, `30 min` or both."""
    parts = [] if n_trials is None else [f"{n_trials:,}"]
    parts += [] if timeout_s is None else [format_duration(timeout_s)]
    return " or ".join(parts) or "-"


def show_bytes(n_bytes: int | None) -> str:
    """Return `0.4 MB` or `1.2 GB`."""
    if n_bytes is None:
        return "-"
    megabytes = n_bytes / 2**20
    return f"{megabytes:.1f} MB" if megabytes < 1000 else f"{megabytes / 1024:.1f} GB"


def show_settings(console: Console, record: StudyRecord, settings: StudySettings) -> None:
    """Show the settings of a study, a line per table."""
    data, training, search = settings.data, settings.training, settings.search
    sizes = {"scratch": data.image_size, "transfer": settings.transfer.image_size}
    images = ", ".join(
        f"{sizes[name]} px for {name} ({images.fingerprint[:12]}, {images.path})"
        for name, images in settings.images.items()
    )
    limits = "; ".join(f"{name}: {_limits(it)}" for name, it in settings.limits.items())
    weights = settings.weights
    lines = {
        "data": f"{data.source}, at most {data.max_images:,} images, seed {data.seed}",
        "options": _chosen_options(data),
        "images": images,
        "families": ", ".join(settings.space["families"]),
        "modules": ", ".join(module.source for module in settings.modules),
        "weights": "" if weights is None else f"{weights.source} ({weights.digest[:12]})",
        "training": f"{training.max_epochs} epochs, patience {training.patience}",
        "search": f"{search.sampler}, pruner {search.pruner}, seed {search.seed}",
        "limits": limits,
        "budget": show_budget(record.n_trials, record.timeout_s)
        + f" (priority {record.priority}), {format_duration(record.active_s)} spent",
        "artifacts": settings.artifacts,
        "version": f"convsearch {settings.version}",
        "state": "stopped" if record.is_stopped else record.end_reason or "",
    }
    console.print(record.name, style="bold")
    for name, text in lines.items():
        if text:
            print_line(console, f"  {name:<10}{text}")
    print_line(console, "  space")
    for name, text in describe_domains(settings.space["domains"]).items():
        print_line(console, f"    {name}: {text}")


def _chosen_options(data: DataSettings) -> str:
    """Return the options of a study's images that differ from the defaults, as for a shell."""
    chosen = {
        name: getattr(data, name)
        for name, field in type(data).model_fields.items()
        if name not in SHOWN_APART and getattr(data, name) != field.default
    }
    command = search_command(data.source, {}, chosen)
    return printable(command.removeprefix(search_command(data.source, {}, {})).strip())


def _limits(limits: Limits) -> str:
    operations = None if limits.max_operations is None else limits.max_operations / 1e6
    parts = (
        (limits.max_parameters, "parameters"),
        (limits.max_memory_mb, "MB"),
        (operations, "million operations"),
    )
    return ", ".join(f"{most:,.0f} {what}" for most, what in parts if most is not None)


def show_fork(console: Console, old: str, forked: Fork, store_url: str | None) -> None:
    """Show what a fork copied and the command that runs it."""
    record = forked.submission.record
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in forked.skipped.items())
    print_line(
        console,
        f"{record.name}: {plural(forked.n_copied, 'trial')} of {old} copied, "
        f"{plural(forked.n_queued, 'config')} tried again first, "
        f"{forked.n_skipped:,} not copied{f' ({reasons})' if reasons else ''}.",
    )
    if forked.n_copied == 0 and forked.n_queued:
        print_line(
            console, "Its images or training settings differ, so values cannot be compared."
        )
    print_line(
        console,
        f"Its budget is {show_budget(record.n_trials, record.timeout_s)}"
        f"{', of which these count' if forked.counts_taken else ' of new trials'}. "
        f"Next: convsearch worker {quote(record.name)}{needed_options(store_url)}",
    )


def show_removal(console: Console, name: str, removal: DeletionSummary) -> None:
    """Show what was deleted with a study."""
    words = [f"{plural(removal.n_files, 'file')}"]
    if removal.n_sets:
        words.append(plural(removal.n_sets, "set") + " of prepared images")
    print_line(
        console,
        f"Study {name} is deleted, with {' and '.join(words)} ({show_bytes(removal.n_bytes)}).",
    )
    for line in removal.kept:
        print_line(console, f"Kept: {line}")


def show_stopped(
    console: Console,
    name: str,
    alive: Sequence[WorkerRow],
    store_url: str | None,
    *,
    is_waiting: bool,
) -> None:
    """Show that a study is stopped, and which workers still run."""
    if is_waiting:
        hosts = ", ".join(dict.fromkeys(row.host for row in alive))
        print_line(console, f"Waiting for {plural(len(alive), 'worker')} on {hosts}")
    elif alive:
        print_line(console, f"Study {name} is stopped; {plural(len(alive), 'worker')} will stop.")
    else:
        again = f"`convsearch study resume {quote(name)}{needed_options(store_url)}`"
        print_line(
            console, f"Study {name} is stopped; no worker is running. {again} opens it again."
        )


def show_resumed(console: Console, resumed: Resumption, store_url: str | None) -> None:
    """Show that a study is open again, and the command that serves it."""
    record = resumed.record
    budget = "" if record.n_trials is None else f" of {record.n_trials}"
    before = resumed.n_trials_before
    changed = "" if before in (None, record.n_trials) else f" (the budget was {before})"
    print_line(
        console, f"Study {record.name} is open: {resumed.n_done}{budget} trials are done{changed}."
    )
    print_line(console, f"Next: convsearch worker {quote(record.name)}{needed_options(store_url)}")


def _local(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
