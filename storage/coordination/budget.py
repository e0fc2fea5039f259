"""The budget of a study: trials that are claimed and done, and active time.

Each lease that counts is one unit of the budget of trials. Each heartbeat adds active time.
"""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.studies.records import StudyRecord, lock_study, update_study
from storage.tables import leases, studies

HEARTBEAT_GAP_S = 60.0
"""In a longer gap between two heartbeats, no worker was alive; it is not active time."""


class Units(NamedTuple):
    """Numbers of claimed units of a budget of trials, and of those that are done."""

    n_claimed: int = 0
    n_done: int = 0

    def has_room(self, n_trials: int | None) -> bool:
        """Whether a budget of `n_trials`, None for no limit, has room for one more unit."""
        return n_trials is None or self.n_claimed < n_trials


class ActiveTime(NamedTuple):
    """The active time of a study in seconds, and when a worker last added to it."""

    active_s: float
    counted_until: float


@with_retry
def has_budget_left(store: Store, study_id: int) -> bool:
    """Whether the study has not ended, and its budget has room for one more trial.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.read() as connection:
        return can_claim(connection, study_id, is_locked=False)


def is_time_up(record: StudyRecord, active_s: float | None = None) -> bool:
    """Whether the budget of time is spent; `active_s` may be newer than in the record."""
    active_s = record.active_s if active_s is None else active_s
    return record.timeout_s is not None and active_s >= record.timeout_s


@with_retry
def count_done(store: Store, study_id: int) -> int:
    """Count the finished trials that count for the budget."""
    with store.read() as connection:
        return count_units(connection, leases.c.study_id == study_id).get(study_id, Units()).n_done


@with_retry
def set_budget(
    store: Store,
    study_id: int,
    *,
    n_trials: int | None,
    timeout_s: float | None,
    priority: int | None = None,
) -> None:
    """Change the budget of a study, and reopen the study if it had ended or was stopped.

    Outcomes of earlier trials no longer end it. A `priority` of None keeps the current one.
    """
    with store.write() as connection:
        update_study(
            connection,
            study_id,
            n_trials=n_trials,
            timeout_s=timeout_s,
            end_reason=None,
            has_failed=False,
            judged_from=store.now(connection),
            priority=studies.c.priority if priority is None else priority,
            is_stopped=False,
        )


def can_claim(connection: Connection, study_id: int, *, is_locked: bool = True) -> bool:
    """Whether one more unit can be claimed; others that claim wait unless `is_locked` is False."""
    row = lock_study(
        connection, study_id, studies.c.n_trials, studies.c.end_reason, is_locked=is_locked
    )
    if row.end_reason is not None:
        return False
    if row.n_trials is None:
        return True
    units = count_units(connection, leases.c.study_id == study_id).get(study_id, Units())
    return units.has_room(row.n_trials)


def count_units(
    connection: Connection, condition: sa.ColumnElement[bool] | None = None
) -> Mapping[int, Units]:
    """Count claimed and done units by study, in all leases or those that meet a condition."""
    rows = connection.execute(
        sa.select(leases.c.study_id, sa.func.count(), sa.func.count(leases.c.kind))
        .where(leases.c.counts, sa.true() if condition is None else condition)
        .group_by(leases.c.study_id)
    )
    return {study_id: Units(claimed, done) for study_id, claimed, done in rows}


def lock_active_time(connection: Connection, study_id: int) -> ActiveTime:
    """Return the active time of a study; others that add to it wait for this transaction."""
    return ActiveTime(*lock_study(connection, study_id, studies.c.active_s, studies.c.beat_at))


def add_active_time(
    connection: Connection, study_id: int, before: ActiveTime, now: float
) -> float:
    """Add the time since the last heartbeat, unless it is a gap, and return the sum in seconds."""
    gap = now - before.counted_until
    active_s = before.active_s + (gap if 0 < gap < HEARTBEAT_GAP_S else 0.0)
    update_study(connection, study_id, active_s=active_s, beat_at=now)
    return active_s
