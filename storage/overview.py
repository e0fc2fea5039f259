"""All studies of a store in a line each, by a few queries however many trials there are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from optuna.study import StudyDirection
from sqlalchemy.engine import Connection

from storage.store import Store
from storage.studies import optuna_studies
from storage.tables import leases, studies
from storage.trials import _trials, _values, trial_state
from storage.workers import list_workers

_directions = sa.table("study_directions", *map(sa.column, ("study_id", "direction", "objective")))


@dataclass(frozen=True, slots=True)
class StudyOverview:
    """A study as a list shows it.

    `is_ours` is False for a plain Optuna study, which has no budget. `n_done` are trials that
    count (finished ones of a plain study), `n_trials` all of them. `created` is when its first
    trial began, in UTC, None before. `best` is the best value of a complete trial.
    """

    name: str
    is_ours: bool
    n_trials: int
    n_done: int
    budget: int | None
    timeout_s: float | None
    best: float | None
    n_workers: int
    is_stopped: bool
    end_reason: str | None
    has_failed: bool
    active_s: float
    created: datetime | None

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
        """Gives the study as `study list --json` shows it."""
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


def list_overviews(store: Store) -> list[StudyOverview]:
    """Gives every study of the store, plain Optuna ones too, by name."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(
                optuna_studies.c.study_id,
                optuna_studies.c.study_name,
                studies.c.study_id.label("ours"),
                studies.c.n_trials,
                studies.c.timeout_s,
                studies.c.active_s,
                studies.c.end_reason,
                studies.c.has_failed,
                studies.c.is_stopped,
            )
            .outerjoin(studies, studies.c.study_id == optuna_studies.c.study_id)
            .order_by(optuna_studies.c.study_name)
        ).all()
        trials = _count_trials(connection)
        done = _count_done(connection)
        best = _best_values(connection)
    alive = [worker.study_id for worker in list_workers(store) if worker.is_alive]
    nothing = (0, 0, None)
    return [
        StudyOverview(
            name=row.study_name,
            is_ours=row.ours is not None,
            n_trials=trials.get(row.study_id, nothing)[0],
            n_done=(
                trials.get(row.study_id, nothing)[1]
                if row.ours is None
                else done.get(row.study_id, 0)
            ),
            budget=row.n_trials,
            timeout_s=row.timeout_s,
            best=best.get(row.study_id),
            n_workers=alive.count(row.study_id),
            is_stopped=bool(row.is_stopped),
            end_reason=row.end_reason,
            has_failed=bool(row.has_failed),
            active_s=row.active_s or 0.0,
            created=trials.get(row.study_id, nothing)[2],
        )
        for row in rows
    ]


def _count_trials(connection: Connection) -> dict[int, tuple[int, int, datetime | None]]:
    is_finished = trial_state.in_(("COMPLETE", "PRUNED", "FAIL"))
    rows = connection.execute(
        sa.select(
            _trials.c.study_id,
            sa.func.count(),
            sa.func.sum(sa.case((is_finished, 1), else_=0)),
            sa.func.min(_trials.c.datetime_start),
        ).group_by(_trials.c.study_id)
    )
    return {study_id: (n, int(n_finished), first) for study_id, n, n_finished, first in rows}


def _count_done(connection: Connection) -> dict[int, int]:
    rows = connection.execute(
        sa.select(leases.c.study_id, sa.func.count())
        .where(leases.c.kind.is_not(None), leases.c.counts)
        .group_by(leases.c.study_id)
    )
    return dict(rows.tuples().all())


def _best_values(connection: Connection) -> dict[int, float]:
    """Gives the best value of each study that has one direction."""
    rows = connection.execute(
        sa.select(
            _trials.c.study_id,
            _directions.c.direction,
            sa.func.max(_values.c.value),
            sa.func.min(_values.c.value),
        )
        .join(_values, _values.c.trial_id == _trials.c.trial_id)
        .join(_directions, _directions.c.study_id == _trials.c.study_id)
        .where(trial_state == "COMPLETE", _values.c.objective == 0)
        .where(_directions.c.objective == 0)
        .group_by(_trials.c.study_id, _directions.c.direction)
    )
    is_smallest = StudyDirection.MINIMIZE.name
    return {
        study_id: lowest if direction == is_smallest else highest
        for study_id, direction, highest, lowest in rows
    }
