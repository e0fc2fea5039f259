"""Progress of a study, its workers and the time left, in words that rarely change."""

from collections import Counter

from analysis.dashboard.notes.formatting import approximate_duration, join
from analysis.dashboard.notes.markdown import escape
from analysis.dashboard.notes.settings import Settings
from analysis.formatting import format_duration, format_progress
from analysis.results.status import StudyStatus
from spaces.wording import plural
from storage import WorkerRow

MAX_HOSTS = 6
NAMES = {
    "complete": "complete",
    "pruned": "pruned",
    "unfit": "unfit",
    "rejected": "rejected before training",
    "fail": "failed",
    "running": "running",
    "waiting": "waiting",
}
"""Names of outcomes and states of trials."""


def describe_progress(status: StudyStatus) -> str:
    """Describe the state of a study, its budget, workers and trials."""
    counted = [f"{n:,} {NAMES.get(kind, kind)}" for kind, n in status.counts.items() if n]
    trials = f" Trials: {', '.join(counted)}." if counted else " There is no trial yet."
    if status.record.is_optuna_only:
        return trials.strip()
    return f"**{_state(status)}:** {_budget(status)}.{_left(status)}{_workers(status)}{trials}"


def state_and_budget(status: StudyStatus) -> str:
    """Return the state of a study and its used budget, as plain text."""
    return f"{_state(status)}: {_budget(status)}"


def epochs_saved(status: StudyStatus) -> tuple[int, int]:
    """Count the epochs saved by pruning, and those that were trained."""
    default = Settings.read(status.record).max_epochs
    saved = 0
    for row in status.trials:
        most = row.attributes.get("max_epochs", default)
        if row.kind == "pruned" and row.curve.n_epochs and isinstance(most, int):
            saved += max(0, most - row.curve.n_epochs)
    return saved, sum(row.curve.n_epochs for row in status.trials)


def _state(status: StudyStatus) -> str:
    if status.is_over:
        return "Ended" if status.record.end_reason and not status.is_spent else "Finished"
    if status.record.is_stopped:
        return "Stopping" if status.workers else "Stopped"
    if status.workers:
        return "Running"
    return "Paused" if status.trials else "Not started"


def _budget(status: StudyStatus) -> str:
    record = status.record
    done = format_progress(status.n_done, record.n_trials)
    took = (
        f"{format_duration(record.active_s)} of work"
        if status.is_over
        else approximate_duration(record.active_s)
    )
    spent = f" in {took}" if record.active_s >= 1 else ""
    if record.timeout_s is None:
        return done + spent
    return f"{done}{spent} of {approximate_duration(record.timeout_s)}"


def _left(status: StudyStatus) -> str:
    left_s = status.time_left_s
    if status.is_over or left_s is None or status.record.is_stopped or not status.workers:
        return ""
    return f" Time left: {approximate_duration(left_s)}."


def _workers(status: StudyStatus) -> str:
    if not status.workers:
        return ""
    hosts = Counter(map(_host, status.workers))
    names = [escape(host, 60) + (f" ({n})" if n > 1 else "") for host, n in hosts.items()]
    if len(names) > MAX_HOSTS:
        names = [*names[:MAX_HOSTS], plural(len(names) - MAX_HOSTS, "other host")]
    return f" {plural(len(status.workers), 'worker')} on {join(names)}."


def _host(worker: WorkerRow) -> str:
    return worker.host or "a host without a name"
