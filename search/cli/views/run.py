"""Output of a search: what it starts with, and how it ended."""

import json
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from analysis.formatting import format_duration, format_progress
from search.cli.console import print_line
from search.cli.next_command import needed_options
from search.cli.views.ranking import describe_baseline
from search.cli.views.source import show_warnings
from spaces.wording import plural

if TYPE_CHECKING:
    from search.dashboard.child_process import DashboardProcess
    from search.studies.submission import Submission
    from search.workers.local_run import RunResult


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
    if settings.baseline is not None:
        print_line(console, f"Baseline: {describe_baseline(settings.baseline)}")
    for note in submission.notes:
        print_line(console, note)
    show_warnings(console, data.metadata.get("warnings", ()))


def show_dashboard_address(console: Console, dashboard: "DashboardProcess") -> None:
    """Show the address of the dashboard beside a search."""
    console.print(f"Dashboard: {dashboard.address}", soft_wrap=True)


def show_stopping(console: Console) -> None:
    """Show that a signal was received, and what happens now."""
    print_line(console, "Stopping: workers release their trials. Ctrl-C again exits at once.")


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
    print_line(
        console,
        f"Next: convsearch confirm {quote(record.name)}{_options(result)} · "
        f"{report_command(record.name, result)} · raise --trials to search on",
    )


def report_command(study: str, result: "RunResult") -> str:
    """Return the command that writes or replaces a study's report after a run."""
    from search.reports.output_folder import has_report

    folder = f"{study}-report"
    force = " --force" if has_report(Path(folder)) else ""
    return f"convsearch report {quote(study)} --out {quote(folder)}{force}{_options(result)}"


def _options(result: "RunResult") -> str:
    """Return what the next command needs: the store, and permission to run the study's modules."""
    has_modules = json.loads(result.status.record.settings).get("modules")
    return needed_options(result.store, trusts_modules=bool(has_modules))
