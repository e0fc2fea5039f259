"""Inconsistencies between our tables, Optuna's tables and living workers: found and repaired.

Repairs may be repeated or run in parallel, and do not touch what living workers hold.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.coordination.heartbeats import WorkerRow, list_workers
from storage.coordination.recovery import is_unleased, recover_once
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.tables import studies as optuna_studies
from storage.optuna_schema.tables import trials, values
from storage.optuna_schema.writes import set_waiting
from storage.studies.orphans import count_orphans, delete_orphans
from storage.studies.records import find_study_id
from storage.tables import leases, studies
from storage.trial_outcomes import Outcome, OutcomeKind

InconsistencyKind = Literal[
    "dead worker", "stuck trial", "untold outcome", "claim", "open trial", "closed trial", "strays"
]


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """An inconsistency in a store.

    `dead worker`: a silent worker that is still registered. `stuck trial`: RUNNING, without a
    living worker. `untold outcome`: recorded by us, not in Optuna. `claim`: a lease without a
    worker and a trial. `open trial`: ended in our tables, open in Optuna's. `closed trial`: the
    reverse. `strays`: orphans (`storage.studies.orphans`).
    """

    kind: InconsistencyKind
    study: str = ""
    trial: int | None = None
    worker: WorkerRow | None = None
    n: int = 1


@with_retry
def find_inconsistencies(store: Store) -> list[Inconsistency]:
    """Return the inconsistencies of all our studies."""
    before = list_workers(store)
    with store.read() as connection:
        names = _study_names(connection)
        joined = connection.execute(_leases_with_trials()).all()
        unleased = connection.execute(_running_without_lease()).all()
    rows = list_workers(store)
    # Workers that started or ended meanwhile may have held one of the leases.
    alive = {row.worker_id for row in (*before, *rows) if row.is_alive}
    inconsistencies = [
        Inconsistency("dead worker", names.get(row.study_id, ""), row.trial_number, row)
        for row in rows
        if row.worker_id not in alive
    ]
    for row in joined:
        kind = _classify(row, alive)
        if kind is not None:
            inconsistencies.append(Inconsistency(kind, row.study_name, row.trial_number))
    inconsistencies += [
        Inconsistency("stuck trial", row.study_name, row.number) for row in unleased
    ]
    n_orphans = count_orphans(store)
    return inconsistencies + ([Inconsistency("strays", n=n_orphans)] if n_orphans else [])


def repair_inconsistencies(store: Store, inconsistencies: Iterable[Inconsistency]) -> None:
    """Repair inconsistencies, after checking each of them again."""
    found = list(inconsistencies)
    if any(it.kind == "strays" for it in found):
        delete_orphans(store)
    for name in sorted({it.study for it in found if it.study}):
        alive = {row.worker_id for row in list_workers(store) if row.is_alive}
        _repair_leases(store, name, alive)
        recover_once(store, find_study_id(store, name))
        _requeue_unheld(store, name)


def _classify(row: Any, alive: Iterable[str]) -> InconsistencyKind | None:
    """Return what is wrong with a lease and its trial; leases of living workers are fine."""
    if row.worker_id in alive:
        return None
    if row.trial_id is None:
        return "claim" if row.kind is None else None
    is_finished = row.state is not None and row.state.is_finished()
    if row.kind is None:
        if is_finished:
            return "closed trial"
        return "stuck trial" if row.state is TrialState.RUNNING else None
    if not row.told:
        return "untold outcome"
    return None if is_finished or row.state is None else "open trial"


@with_retry
def _repair_leases(store: Store, name: str, alive: set[str]) -> None:
    """Make leases agree with Optuna's trials; recovery then writes outcomes to Optuna."""
    with store.read() as connection:
        rows = connection.execute(_leases_with_trials(optuna_studies.c.study_name == name)).all()
    repairs: dict[InconsistencyKind, Callable[[Any, float], sa.Delete | sa.Update]] = {
        "claim": _delete_empty_lease,
        "open trial": _mark_untold,
        "closed trial": _record_end,
    }
    for row in rows:
        kind = _classify(row, alive)
        if kind in repairs:
            with store.write() as connection:
                connection.execute(repairs[kind](row, store.now(connection)))


def _delete_empty_lease(row: Any, _now: float) -> sa.Delete:
    return leases.delete().where(leases.c.lease_id == row.lease_id, leases.c.trial_id.is_(None))


def _mark_untold(row: Any, _now: float) -> sa.Update:
    return leases.update().where(leases.c.lease_id == row.lease_id).values(told=False)


def _record_end(row: Any, now: float) -> sa.Update:
    """Record how Optuna's trial ended, unless a worker has taken the trial meanwhile."""
    kind: OutcomeKind = row.state.name.lower()
    outcome = Outcome(kind, "Ended by another program.", value=row.value)
    return (
        leases.update()
        .where(
            leases.c.lease_id == row.lease_id,
            leases.c.generation == row.generation,
            leases.c.kind.is_(None),
        )
        .values(
            outcome=outcome.to_json(), kind=kind, ended_at=now, counts=outcome.counts, told=True
        )
    )


@with_retry
def _requeue_unheld(store: Store, name: str) -> None:
    """Set RUNNING trials without a worker and without an outcome to WAITING."""
    is_free = sa.and_(leases.c.worker_id.is_(None), leases.c.kind.is_(None))
    is_running = trials.c.state == TrialState.RUNNING
    which = sa.and_(optuna_studies.c.study_name == name, is_free, is_running)
    with store.write() as connection:
        for row in connection.execute(_leases_with_trials(which)).all():
            set_waiting(connection, row.trial_id)


def _study_names(connection: Connection) -> dict[int, str]:
    return {row.study_id: row.study_name for row in connection.execute(sa.select(optuna_studies))}


def _leases_with_trials(which: sa.ColumnElement[bool] | None = None) -> sa.Select[Any]:
    """Select leases with the study's name, and the trial's state and value in Optuna."""
    query = (
        sa.select(leases, optuna_studies.c.study_name, trials.c.state, values.c.value)
        .join(optuna_studies, optuna_studies.c.study_id == leases.c.study_id)
        .outerjoin(trials, trials.c.trial_id == leases.c.trial_id)
        .outerjoin(
            values, sa.and_(values.c.trial_id == leases.c.trial_id, values.c.objective == 0)
        )
        .order_by(leases.c.lease_id)
    )
    return query if which is None else query.where(which)


def _running_without_lease() -> sa.Select[Any]:
    """Select trials of our studies that Optuna began long ago, without a lease."""
    return (
        sa.select(optuna_studies.c.study_name, trials.c.number)
        .join(studies, studies.c.study_id == trials.c.study_id)
        .join(optuna_studies, optuna_studies.c.study_id == trials.c.study_id)
        .where(is_unleased())
    )
