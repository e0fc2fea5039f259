"""The open studies of a store, as a standing worker sees them: what is left, who serves it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.coordination.heartbeats import WorkerRow, insert_worker, select_workers
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.tables import studies as optuna_studies
from storage.tables import leases, studies, workers

UNBOUNDED_WEIGHT = 30
"""What a study without a budget of trials weighs where workers are shared out."""
STUDY_CHOICE_LOCK = 7291831
"""PostgreSQL's advisory lock under which workers choose, one after the other."""


@dataclass(frozen=True, slots=True)
class OpenStudyRow:
    """A study that takes trials: its budget is not spent, its time not up, and it is not stopped.

    `n_left` counts the trials that are not finished, None where there is no such bound.
    `n_workers` counts the living workers, without the one that asks. `has_work` tells whether
    another worker would get a trial: a new one, or one that was let go or whose worker died.
    """

    study_id: int
    name: str
    priority: int
    n_left: int | None
    n_workers: int
    has_work: bool

    @property
    def service_order(self) -> tuple[int, float, int]:
        """What open studies are served by, lowest first: priority, workers for the rest, age."""
        left = UNBOUNDED_WEIGHT if self.n_left is None else max(1, self.n_left)
        return (-self.priority, self.n_workers / left, self.study_id)


@with_retry
def list_open_studies(store: Store, worker_id: str | None = None) -> list[OpenStudyRow]:
    """Return the open studies in the order in which the asking worker should serve them."""
    with store.read() as connection:
        return _select_open(store, connection, worker_id)


@with_retry
def join_next_study(
    store: Store, worker_id: str, *, device: str, skipped: Collection[int] = ()
) -> OpenStudyRow | None:
    """Enter the worker in the study whose turn it is, and take it out of the one it served.

    Workers choose one after the other, so that two of them do not both run to the neediest
    study. None means that nothing is to be had; the worker is then in no study.

    Args:
        store: The store.
        worker_id: The worker, which may be new to the store.
        device: What the worker trains on, for others to see.
        skipped: Ids of studies that it cannot serve now.
    """
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(STUDY_CHOICE_LOCK)))
        rows = _select_open(store, connection, worker_id)
        chosen = choose_study(rows, skipped)
        connection.execute(workers.delete().where(workers.c.worker_id == worker_id))
        if chosen is not None:
            now = store.now(connection)
            insert_worker(connection, chosen.study_id, worker_id, now=now, device=device)
    return chosen


def choose_study(
    rows: Sequence[OpenStudyRow], skipped: Collection[int] = ()
) -> OpenStudyRow | None:
    """Return the first study that has a trial for another worker."""
    return next((row for row in rows if row.has_work and row.study_id not in skipped), None)


def _select_open(
    store: Store, connection: Connection, worker_id: str | None
) -> list[OpenStudyRow]:
    rows = connection.execute(
        sa.select(studies, optuna_studies.c.study_name)
        .join(optuna_studies, optuna_studies.c.study_id == studies.c.study_id)
        .where(
            studies.c.is_stopped.is_(False),
            sa.or_(studies.c.timeout_s.is_(None), studies.c.active_s < studies.c.timeout_s),
        )
    ).all()
    ids = [row.study_id for row in rows]
    counts = _count_leases(connection, ids)
    open_leases = _select_open_leases(connection, ids)
    others = [
        row
        for row in select_workers(store, connection, workers.c.study_id.in_(ids))
        if row.worker_id != worker_id and row.is_alive
    ]
    found = [_describe(row, counts, open_leases, others) for row in rows]
    return sorted((row for row in found if row is not None), key=lambda row: row.service_order)


def _count_leases(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Count, by study, the units of the budget that are claimed, and those spent."""
    rows = connection.execute(
        sa.select(leases.c.study_id, sa.func.count(), sa.func.count(leases.c.kind))
        .where(leases.c.study_id.in_(ids), leases.c.counts)
        .group_by(leases.c.study_id)
    )
    return {study_id: (claimed, done) for study_id, claimed, done in rows}


def _select_open_leases(connection: Connection, ids: Sequence[int]) -> list[Any]:
    """Return the leases that somebody still has to do something about."""
    return list(
        connection.execute(
            sa.select(leases.c.study_id, leases.c.worker_id).where(
                leases.c.study_id.in_(ids), leases.c.told.is_(False)
            )
        )
    )


def _describe(
    row: Any,
    counts: dict[int, tuple[int, int]],
    open_leases: Sequence[Any],
    others: Sequence[WorkerRow],
) -> OpenStudyRow | None:
    """Describe a study; None when nothing is left to do in it."""
    claimed, done = counts.get(row.study_id, (0, 0))
    held = [lease.worker_id for lease in open_leases if lease.study_id == row.study_id]
    is_over = row.end_reason is not None or (row.n_trials is not None and done >= row.n_trials)
    if is_over and not held:
        return None
    alive = {worker.worker_id for worker in others if worker.study_id == row.study_id}
    can_claim = not is_over and (row.n_trials is None or claimed < row.n_trials)
    return OpenStudyRow(
        study_id=row.study_id,
        name=row.study_name,
        priority=row.priority,
        n_left=None if row.n_trials is None else max(0, row.n_trials - done),
        n_workers=len(alive),
        has_work=can_claim or any(holder not in alive for holder in held),
    )
