"""The open studies of a store, from which standing workers choose."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.coordination.budget import Units, count_units
from storage.coordination.heartbeats import WorkerRow, insert_worker, select_workers
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.tables import studies as optuna_studies
from storage.tables import leases, studies, workers

UNBOUNDED_WEIGHT = 30
"""The assumed number of trials left in a study without a budget of trials."""
STUDY_CHOICE_LOCK = 7291831
"""The advisory lock of PostgreSQL under which workers choose one after the other."""


@dataclass(frozen=True, slots=True)
class OpenStudyRow:
    """A study that is not stopped, with budget and time left.

    `n_left` is the number of unfinished trials, None without a bound; `n_workers` the number of
    living workers other than the caller; `has_work` whether another worker would get a trial: a
    new one, a released one, or one of a dead worker.
    """

    study_id: int
    name: str
    priority: int
    n_left: int | None
    n_workers: int
    has_work: bool

    @property
    def service_order(self) -> tuple[int, float, int]:
        """The key by which studies are served, lowest first: priority, workers per trial, age."""
        left = UNBOUNDED_WEIGHT if self.n_left is None else max(1, self.n_left)
        return (-self.priority, self.n_workers / left, self.study_id)


@with_retry
def list_open_studies(store: Store, worker_id: str | None = None) -> list[OpenStudyRow]:
    """Return the open studies in the order in which the worker should serve them."""
    with store.read() as connection:
        return _select_open(store, connection, worker_id)


@with_retry
def join_next_study(
    store: Store, worker_id: str, *, device: str, skipped: Collection[int] = ()
) -> OpenStudyRow | None:
    """Register the worker in the first study with work, and remove it from its previous study.

    Workers choose one after the other, so that two of them do not choose a study for the same
    trial. None means that no study has work; the worker is then registered in none. `skipped` are
    ids of studies that the worker cannot serve now.
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
    """Return the first study with work that is not skipped."""
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
    units = count_units(connection, leases.c.study_id.in_(ids))
    open_leases = _select_open_leases(connection, ids)
    others = [
        row
        for row in select_workers(store, connection, workers.c.study_id.in_(ids))
        if row.worker_id != worker_id and row.is_alive
    ]
    found = [_describe(row, units.get(row.study_id, Units()), open_leases, others) for row in rows]
    return sorted((row for row in found if row is not None), key=lambda row: row.service_order)


def _select_open_leases(connection: Connection, ids: Sequence[int]) -> list[Any]:
    return list(
        connection.execute(
            sa.select(leases.c.study_id, leases.c.worker_id).where(
                leases.c.study_id.in_(ids), leases.c.told.is_(False)
            )
        )
    )


def _describe(
    row: Any, units: Units, open_leases: Sequence[Any], others: Sequence[WorkerRow]
) -> OpenStudyRow | None:
    """Describe a study; None if nothing is left to do in it."""
    held = [lease.worker_id for lease in open_leases if lease.study_id == row.study_id]
    is_over = row.end_reason is not None or (
        row.n_trials is not None and units.n_done >= row.n_trials
    )
    if is_over and not held:
        return None
    alive = {worker.worker_id for worker in others if worker.study_id == row.study_id}
    can_claim = not is_over and units.has_room(row.n_trials)
    return OpenStudyRow(
        study_id=row.study_id,
        name=row.study_name,
        priority=row.priority,
        n_left=None if row.n_trials is None else max(0, row.n_trials - units.n_done),
        n_workers=len(alive),
        has_work=can_claim or any(holder not in alive for holder in held),
    )
