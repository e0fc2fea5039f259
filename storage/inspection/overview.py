"""All studies of a store, by a few queries for any number of trials."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.coordination.budget import Units, count_units
from storage.coordination.heartbeats import list_workers
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.tables import directions, trials, values
from storage.optuna_schema.tables import studies as optuna_studies
from storage.tables import studies


@dataclass(frozen=True, slots=True)
class StudyOverview:
    """A study as a list shows it.

    `is_ours` is False for a plain Optuna study, which has no budget. `n_done` is the number of
    trials that count (of finished trials in a plain study), `n_trials` of all; `created` is the
    start of the first trial in UTC, if any; `best` is the best value of a complete trial;
    `settings` is JSON that `search` reads.
    """

    name: str
    n_trials: int
    n_done: int
    best: float | None
    n_workers: int
    created: datetime | None
    is_ours: bool = False
    budget: int | None = None
    timeout_s: float | None = None
    is_stopped: bool = False
    end_reason: str | None = None
    has_failed: bool = False
    active_s: float = 0.0
    settings: str = field(default="{}", repr=False)

    @property
    def state(self) -> str:
        """`open`, `done` (its budget is spent), `stopped` or `ended`; `plain` for Optuna's own."""
        if not self.is_ours:
            return "plain"
        if self.end_reason is not None:
            return "ended"
        is_spent = self.budget is not None and self.n_done >= self.budget
        if is_spent or (self.timeout_s is not None and self.active_s >= self.timeout_s):
            return "done"
        return "stopped" if self.is_stopped else "open"

    def to_json(self) -> dict[str, Any]:
        """Return the study as `study list --json` shows it."""
        return {
            "study": self.name,
            "state": self.state,
            "trials": self.n_trials,
            "done": self.n_done,
            "budget": {"trials": self.budget, "timeout_s": self.timeout_s},
            "best": self.best,
            "workers": self.n_workers,
            "created": None if self.created is None else self.created.isoformat(),
            "end_reason": self.end_reason,
        }


@with_retry
def list_overviews(store: Store) -> list[StudyOverview]:
    """Return every study of the store, plain Optuna ones too, by name."""
    with store.read() as connection:
        records = {} if store.is_optuna_only else _load_records(connection)
        units = {} if store.is_optuna_only else count_units(connection)
        names = connection.execute(
            sa.select(optuna_studies).order_by(optuna_studies.c.study_name)
        ).all()
        counts = _count_trials(connection)
        best = _best_values(connection)
    workers = [] if store.is_optuna_only else list_workers(store)
    alive = Counter(worker.study_id for worker in workers if worker.is_alive)
    found = []
    for study_id, name in names:
        n_trials, n_finished, created = counts.get(study_id, (0, 0, None))
        overview = StudyOverview(
            name=name,
            n_trials=n_trials,
            n_done=n_finished,
            best=best.get(study_id),
            n_workers=alive[study_id],
            created=created,
        )
        if study_id in records:
            n_done = units.get(study_id, Units()).n_done
            overview = replace(overview, is_ours=True, n_done=n_done, **records[study_id])
        found.append(overview)
    return found


def _load_records(connection: Connection) -> dict[int, dict[str, Any]]:
    """Return the fields of our studies that plain Optuna studies lack, by study id."""
    names = ("timeout_s", "is_stopped", "end_reason", "has_failed", "active_s", "settings")
    rows = connection.execute(sa.select(studies))
    return {
        row.study_id: {"budget": row.n_trials, **{name: getattr(row, name) for name in names}}
        for row in rows
    }


def _count_trials(connection: Connection) -> dict[int, tuple[int, int, datetime | None]]:
    is_finished = trials.c.state.in_([it for it in TrialState if it.is_finished()])
    rows = connection.execute(
        sa.select(
            trials.c.study_id,
            sa.func.count(),
            sa.func.sum(sa.case((is_finished, 1), else_=0)),
            sa.func.min(trials.c.datetime_start),
        ).group_by(trials.c.study_id)
    )
    return {study_id: (n, int(n_finished), first) for study_id, n, n_finished, first in rows}


def _best_values(connection: Connection) -> dict[int, float]:
    """Return the best value of each study that has one direction."""
    rows = connection.execute(
        sa.select(
            trials.c.study_id,
            directions.c.direction,
            sa.func.max(values.c.value),
            sa.func.min(values.c.value),
        )
        .join(values, values.c.trial_id == trials.c.trial_id)
        .join(directions, directions.c.study_id == trials.c.study_id)
        .where(trials.c.state == TrialState.COMPLETE, values.c.objective == 0)
        .where(directions.c.objective == 0)
        .group_by(trials.c.study_id, directions.c.direction)
    )
    is_smallest = StudyDirection.MINIMIZE.name
    return {
        study_id: lowest if direction == is_smallest else highest
        for study_id, direction, highest, lowest in rows
    }
