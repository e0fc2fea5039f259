"""Faults: where our tables, Optuna's and the workers that live do not agree, and mending them.

Finding only reads. Mending is safe to repeat and to race: what a living worker holds
is left alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.coordination.heartbeats import GRACE_S, WorkerRow, list_workers
from storage.coordination.recovery import recover_once
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.tables import studies as optuna_studies
from storage.optuna_schema.tables import trials, utc_now, values
from storage.optuna_schema.writes import set_waiting
from storage.outcomes import Outcome, OutcomeKind
from storage.studies.orphans import count_orphans, delete_orphans
from storage.studies.records import find_study_id
from storage.tables import leases, studies

InconsistencyKind = Literal[
    "dead worker", "stuck trial", "untold outcome", "claim", "open trial", "closed trial", "strays"
]
KIND_OF_STATE: dict[str, OutcomeKind] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "fail",
}


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """Something in a store that does not agree.

    `dead worker`: it is silent and still listed. `stuck trial`: RUNNING, and no living worker
    has it. `untold outcome`: recorded, and Optuna was not told. `claim`: a unit of the budget that
    no worker holds and no trial came of. `open trial`: ended for us, open in Optuna. `closed
    trial`: the other way round. `strays`: rows about studies or trials that Optuna has no more.
    """

    kind: InconsistencyKind
    study: str = ""
    trial: int | None = None
    worker: WorkerRow | None = None
    n: int = 1


@with_retry
def find_inconsistencies(store: Store) -> list[Inconsistency]:
    """Return the faults of all studies of ours."""
    before = list_workers(store)
    with store.read() as connection:
        names = _study_names(connection)
        joined = connection.execute(_leases_with_trials()).all()
        unleased = connection.execute(_running_without_lease()).all()
    rows = list_workers(store)
    # Who came or left meanwhile may have had one of the leases.
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
    """Put right what was found; what has changed meanwhile is judged anew."""
    inconsistencies = list(inconsistencies)
    if any(inconsistency.kind == "strays" for inconsistency in inconsistencies):
        delete_orphans(store)
    for name in sorted(
        {inconsistency.study for inconsistency in inconsistencies if inconsistency.study}
    ):
        alive = {row.worker_id for row in list_workers(store) if row.is_alive}
        _repair_leases(store, name, alive)
        recover_once(store, find_study_id(store, name))
        _requeue_unheld(store, name)


def _classify(row: Any, alive: Iterable[str]) -> InconsistencyKind | None:
    """Say what is wrong with a lease and its trial; what a living worker holds is on its way."""
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
    """Bring leases in line with Optuna's trials; telling outcomes again is left to recovery."""
    with store.read() as connection:
        rows = connection.execute(_leases_with_trials(optuna_studies.c.study_name == name)).all()
    actions: dict[InconsistencyKind, Callable[[Store, Any], None]] = {
        "claim": _delete_empty_lease,
        "open trial": _mark_untold,
        "closed trial": _record_end,
    }
    for row in rows:
        kind = _classify(row, alive)
        if kind in actions:
            actions[kind](store, row)


@with_retry
def _delete_empty_lease(store: Store, row: Any) -> None:
    is_empty = sa.and_(leases.c.lease_id == row.lease_id, leases.c.trial_id.is_(None))
    with store.write() as connection:
        connection.execute(leases.delete().where(is_empty))


@with_retry
def _mark_untold(store: Store, row: Any) -> None:
    with store.write() as connection:
        connection.execute(
            leases.update().where(leases.c.lease_id == row.lease_id).values(told=False)
        )


@with_retry
def _record_end(store: Store, row: Any) -> None:
    """Record the end that Optuna knows, unless a worker has taken the trial meanwhile."""
    kind = KIND_OF_STATE[row.state.name]
    outcome = Outcome(kind, "Ended by another program.", value=row.value)
    with store.write() as connection:
        connection.execute(
            leases.update()
            .where(
                leases.c.lease_id == row.lease_id,
                leases.c.generation == row.generation,
                leases.c.kind.is_(None),
            )
            .values(
                outcome=outcome.to_json(),
                kind=kind,
                ended_at=store.now(connection),
                counts=outcome.counts,
                told=True,
            )
        )


@with_retry
def _requeue_unheld(store: Store, name: str) -> None:
    """Put trials back to WAITING that are RUNNING and that nobody holds."""
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
        sa.select(
            leases,
            optuna_studies.c.study_name,
            trials.c.state,
            values.c.value,
        )
        .join(optuna_studies, optuna_studies.c.study_id == leases.c.study_id)
        .outerjoin(trials, trials.c.trial_id == leases.c.trial_id)
        .outerjoin(
            values, sa.and_(values.c.trial_id == leases.c.trial_id, values.c.objective == 0)
        )
        .order_by(leases.c.lease_id)
    )
    return query if which is None else query.where(which)


def _running_without_lease() -> sa.Select[Any]:
    """Select trials of ours that Optuna began long ago and no worker ever leased."""
    long_ago = utc_now() - timedelta(seconds=GRACE_S)
    return (
        sa.select(optuna_studies.c.study_name, trials.c.number)
        .join(studies, studies.c.study_id == trials.c.study_id)
        .join(optuna_studies, optuna_studies.c.study_id == trials.c.study_id)
        .where(trials.c.state == TrialState.RUNNING, trials.c.datetime_start < long_ago)
        .where(~sa.exists().where(leases.c.trial_id == trials.c.trial_id))
    )
