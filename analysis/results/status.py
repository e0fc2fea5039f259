"""Status of a study: counts of trials, active workers, and what is left of the budget."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.confirmation_study import (
    CONFIRMS_ATTRIBUTE,
    LeadingConfig,
    find_leading_config,
    origin_of_training,
)
from analysis.results.families import FamilySummary, best_complete, family_of, summarize_families
from storage import (
    Store,
    StudyRecord,
    TrialRow,
    TrialTable,
    WorkerRow,
    find_study,
    is_time_up,
    list_workers,
    opened_store,
)

SHOWN_PARAMS, SHOWN_ATTRIBUTES = ("family",), ("config", "parameters", CONFIRMS_ATTRIBUTE)
"""What a status needs; reading everything of thousands of trials takes seconds."""


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """A snapshot of a study."""

    record: StudyRecord
    trials: tuple[TrialRow, ...]
    workers: tuple[WorkerRow, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state or outcome.

        `pruned` ones were stopped by the pruner, `unfit` ones diverged or ran out of memory or
        time, and `rejected` ones exceeded a limit or repeated another trial.
        """
        names = ("complete", "pruned", "unfit", "rejected", "fail", "running", "waiting")
        counts = dict.fromkeys(names, 0)
        for row in self.trials:
            counts["rejected" if row.kind == "repeat" else row.kind] += 1
        return counts

    @property
    def n_done(self) -> int:
        """Trials that count for the budget."""
        return sum(row.counts for row in self.trials)

    @property
    def is_spent(self) -> bool:
        """Whether the trial budget is spent."""
        return self.record.n_trials is not None and self.n_done >= self.record.n_trials

    @property
    def is_over(self) -> bool:
        """Whether the search has ended and no trial is running."""
        record = self.record
        has_ended = self.is_spent or is_time_up(record) or record.end_reason is not None
        return has_ended and not any(row.state == "RUNNING" for row in self.trials)

    @property
    def running(self) -> tuple[TrialRow, ...]:
        """Trials that a worker is training."""
        return tuple(row for row in self.trials if row.state == "RUNNING" and row.outcome is None)

    @property
    def is_confirmation(self) -> bool:
        """Whether its trials retrain configs of another study."""
        return any(origin_of_training(row) is not None for row in self.trials)

    @property
    def leading(self) -> LeadingConfig | None:
        """The config with the best mean so far, in a confirmation."""
        return find_leading_config(self.trials)

    @property
    def best(self) -> TrialRow | None:
        """The best complete trial; None in a confirmation, where it is just the luckiest seed."""
        if self.is_confirmation:
            return None
        return best_complete(self.trials, self.record.direction)

    @property
    def families(self) -> tuple[FamilySummary, ...]:
        """The trials summarized by family, the one with the best trial first."""
        return summarize_families(self.trials, self.record.direction)

    @property
    def time_left_s(self) -> float | None:
        """Estimated seconds until the budget is spent, from the trials so far."""
        if self.record.end_reason is not None:
            return None
        estimates = []
        if self.record.timeout_s is not None:
            estimates.append(max(0.0, self.record.timeout_s - self.record.active_s))
        if self.record.n_trials is not None and self.n_done:
            n_left = max(0, self.record.n_trials - self.n_done)
            estimates.append(n_left * self.record.active_s / self.n_done)
        return min(estimates, default=None)

    @property
    def trials_per_hour(self) -> float | None:
        """Trials that count for the budget, per hour with an active worker."""
        if not self.n_done or self.record.active_s <= 0:
            return None
        return 3600 * self.n_done / self.record.active_s

    def to_json(self) -> dict[str, Any]:
        """Return the document of `status --json`."""
        best = self.best
        return {
            "study": self.record.name,
            "counts": self.counts,
            "budget": {
                "trials": self.record.n_trials,
                "done": self.n_done,
                "timeout_s": self.record.timeout_s,
                "active_s": round(self.record.active_s, 1),
            },
            "workers": [self._describe_worker(worker) for worker in self.workers],
            "best": None if best is None else {"trial": best.number, "val_accuracy": best.value},
            "families": [family.to_json() for family in self.families],
            "trials_per_hour": self.trials_per_hour,
            "time_left_s": self.time_left_s,
            "end_reason": self.record.end_reason,
            "is_stopped": self.record.is_stopped,
        }

    def _describe_worker(self, worker: WorkerRow) -> dict[str, Any]:
        row = next((it for it in self.running if it.number == worker.trial_number), None)
        return {
            "id": worker.worker_id,
            "host": worker.host,
            "device": worker.device,
            "pid": worker.pid,
            "trial": worker.trial_number,
            "family": None if row is None else family_of(row) or None,
            "epoch": None if row is None else row.curve.n_epochs,
            "last_seen": round(worker.last_seen_s, 1),
        }


def load_status(store: Store | str, study: str) -> StudyStatus:
    """Load the status of a study, also of a plain Optuna one; `store` may be a URL.

    Raises:
        StudyNotFoundError: If the store has no such study.
    """
    with opened_store(store) as opened:
        return follow_status(opened, study)()


def follow_status(store: Store, study: str) -> Callable[[], StudyStatus]:
    """Return a function that reads the current status, and finished trials only once.

    Raises:
        StudyNotFoundError: If the store has no such study.
    """
    study_id = find_study(store, study).study_id
    table = TrialTable(store, study_id, params=SHOWN_PARAMS, attributes=SHOWN_ATTRIBUTES)

    def read() -> StudyStatus:
        trials = tuple(table.read())
        record = find_study(store, study)
        workers = [] if store.is_optuna_only else list_workers(store, study_id)
        return StudyStatus(record, trials, tuple(w for w in workers if w.is_alive))

    return read
