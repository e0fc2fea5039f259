"""Leases: who may train which trial, and how a study's budget is spent exactly once.

A lease is a unit of the budget, and begins together with its trial. Each take raises its
generation; what a worker writes is accepted only under the generation that it holds, so that one
whose trial was taken can spoil nothing.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.coordination.pending_writes import PendingWrites, transaction_with
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import LeaseLostError, StudyNotFoundError
from storage.optuna_schema.writes import add_trial, set_running, set_waiting, take_enqueued
from storage.outcomes import Outcome
from storage.tables import epochs, leases, studies

MAX_LOSSES = 3
"""A trial that takes its worker or trainer down this often, without an epoch gained in between, is
not tried again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One worker's right to train one trial."""

    lease_id: int
    study_id: int
    worker_id: str
    generation: int
    trial_id: int
    trial_number: int
    n_losses: int = 0


@dataclass(frozen=True, slots=True)
class OpenLease:
    """A lease without an outcome, or with one that Optuna has not been told, as others see it."""

    lease_id: int
    worker_id: str | None
    generation: int
    n_losses: int
    trial_id: int
    trial_number: int
    outcome: Outcome | None


class _Budget(NamedTuple):
    n_trials: int | None
    has_ended: bool


@with_retry
def has_budget_left(store: Store, study_id: int) -> bool:
    """Whether the study goes on, and its budget has room for one more trial right now.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.read() as connection:
        return _has_budget_left(connection, study_id, _read_budget(connection, study_id))


@with_retry
def begin_trial(
    store: Store, study_id: int, worker_id: str, *, only_enqueued: bool = False
) -> Lease | None:
    """Begin a trial with a lease on it: an enqueued one, or a new one of Optuna's.

    None means that all of the budget is spent or taken, or that the study has ended, or that
    nothing is enqueued where `only_enqueued` is wanted. Lease and trial begin in one transaction,
    so that neither is ever there without the other.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.write() as connection:
        if not _has_budget_left(connection, study_id, _lock_study(connection, study_id)):
            return None
        begun = take_enqueued(connection, study_id)
        if begun is None and only_enqueued:
            return None
        trial_id, number = begun or add_trial(connection, study_id)
        if connection.dialect.name == "sqlite":  # It uses the ids of deleted trials again.
            connection.execute(leases.delete().where(leases.c.trial_id == trial_id))
            connection.execute(epochs.delete().where(epochs.c.trial_id == trial_id))
        lease_id = connection.execute(
            leases.insert()
            .values(study_id=study_id, worker_id=worker_id, trial_id=trial_id, trial_number=number)
            .returning(leases.c.lease_id)
        ).scalar_one()
    return Lease(lease_id, study_id, worker_id, 0, trial_id, number)


@with_retry
def take_released(store: Store, study_id: int, worker_id: str) -> Lease | None:
    """Take the oldest trial that was begun and let go, or gives None when there is none.

    A worker trains one trial at a time. One that is its own already was begun or taken in a
    transaction whose answer it never got.
    """
    released = (
        sa.select(leases)
        .where(
            leases.c.study_id == study_id,
            sa.or_(leases.c.worker_id.is_(None), leases.c.worker_id == worker_id),
            leases.c.kind.is_(None),
        )
        .order_by(leases.c.trial_number)
        .limit(1)
    )
    with store.read() as connection:  # Mostly there is none, and nobody has to be held up.
        if connection.execute(released).first() is None:
            return None
    with store.write() as connection:
        row = connection.execute(released.with_for_update()).first()
        return None if row is None else _take(connection, row, worker_id)


@with_retry
def release_lease(store: Store, lease: Lease, *, lost: bool = False) -> None:
    """Return a trial back for any worker to go on with; `lost` says that it was taken down.

    Raises:
        LeaseLostError: If the trial was taken meanwhile.
    """
    generation = lease.generation + 1
    is_free = (
        leases.c.lease_id == lease.lease_id,
        leases.c.generation == generation,
        leases.c.worker_id.is_(None),
    )
    with store.write() as connection:
        if connection.execute(sa.select(leases.c.lease_id).where(*is_free)).first():
            return  # It was committed, and the answer lost.
        _update_held(
            connection,
            lease,
            worker_id=None,
            generation=generation,
            n_losses=leases.c.n_losses + int(lost),
        )
        set_waiting(connection, lease.trial_id)


@with_retry
def record_config(
    store: Store, lease: Lease, config_key: str, pending: PendingWrites | None = None
) -> int | None:
    """Enter the trial's config, or gives the number of the trial that has entered it before.

    What waits in the draft is written with it.

    Raises:
        LeaseLostError: If the trial was taken meanwhile.
        StudyNotFoundError: If the study was deleted.
    """
    with transaction_with(store, pending) as connection:
        _lock_study(connection, lease.study_id)
        check_held(connection, lease)
        number: int | None = connection.execute(
            sa.select(sa.func.min(leases.c.trial_number)).where(
                leases.c.study_id == lease.study_id,
                leases.c.config_key == config_key,
                leases.c.lease_id != lease.lease_id,
                sa.or_(leases.c.kind.is_(None), leases.c.kind != "repeat"),
            )
        ).scalar()
        if number is None:
            _update_held(connection, lease, config_key=config_key)
    return number


@with_retry
def count_configs(store: Store, study_id: int) -> int:
    """Count the distinct configs that the study's trials have drawn."""
    with store.read() as connection:
        return connection.execute(
            sa.select(sa.func.count(leases.c.config_key.distinct())).where(
                leases.c.study_id == study_id
            )
        ).scalar_one()


@with_retry
def record_outcome(
    store: Store, lease: Lease, outcome: Outcome, pending: PendingWrites | None = None
) -> None:
    """Record how the trial ended, once and for all; Optuna is told afterwards.

    Raises:
        LeaseLostError: If the trial was taken meanwhile, or has an outcome.
    """
    with transaction_with(store, pending) as connection:
        known = connection.execute(
            sa.select(leases.c.outcome).where(*_is_lease(lease)).with_for_update()
        ).scalar()
        if known == outcome.to_json():  # It was committed, and the answer lost.
            if pending is not None:
                pending.clear()
            return
        _update_held(
            connection,
            lease,
            outcome=outcome.to_json(),
            kind=outcome.kind,
            ended_at=store.now(connection),
            counts=outcome.counts,
        )


@with_retry
def list_open_leases(store: Store, study_id: int) -> list[OpenLease]:
    """Return the leases that somebody still has to do something about, in the order of trials."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(leases)
            .where(leases.c.study_id == study_id, leases.c.told.is_(False))
            .order_by(leases.c.trial_number)
        ).all()
    return [
        OpenLease(
            lease_id=row.lease_id,
            worker_id=row.worker_id,
            generation=row.generation,
            n_losses=row.n_losses,
            trial_id=row.trial_id,
            trial_number=row.trial_number,
            outcome=None if row.outcome is None else Outcome.from_json(row.outcome),
        )
        for row in rows
    ]


def last_outcome_kinds(store: Store, study_id: int, n: int) -> list[str]:
    """Return how the last `n` trials ended since the budget was set, the newest first."""
    return [kind for _, kind in last_outcomes(store, study_id, n)]


@with_retry
def last_outcomes(store: Store, study_id: int, n: int) -> list[tuple[int, str]]:
    """Return the numbers of those trials, and how they ended."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(leases.c.trial_number, leases.c.kind)
            .join(studies, studies.c.study_id == leases.c.study_id)
            .where(
                leases.c.study_id == study_id,
                leases.c.kind.is_not(None),
                leases.c.ended_at > studies.c.judged_from,
            )
            .order_by(leases.c.ended_at.desc(), leases.c.trial_number.desc())
            .limit(n)
        )
        return [(number, kind) for number, kind in rows]


def _has_budget_left(connection: Connection, study_id: int, budget: _Budget) -> bool:
    if budget.has_ended:
        return False
    if budget.n_trials is None:
        return True
    n_taken = connection.execute(
        sa.select(sa.func.count())
        .select_from(leases)
        .where(leases.c.study_id == study_id, leases.c.counts)
    ).scalar_one()
    return int(n_taken) < budget.n_trials


@with_retry
def count_losses(store: Store, lease: Lease) -> int:
    """Count how often the trial was lost since it last gained an epoch.

    Raises:
        LeaseLostError: If it was taken meanwhile.
    """
    with store.read() as connection:
        return check_held(connection, lease, is_locked=False)


def reset_losses(connection: Connection, lease: Lease) -> None:
    """Begin to count a trial's losses anew, within a transaction."""
    _update_held(connection, lease, n_losses=0)


def check_held(connection: Connection, lease: Lease, *, is_locked: bool = True) -> int:
    """Make sure, within a transaction, that the lease is still the worker's.

    Returns:
        How often the trial was lost.

    Raises:
        LeaseLostError: If it is not the worker's.
    """
    query = sa.select(leases.c.n_losses).where(*_held(lease))
    n_losses = connection.execute(query.with_for_update() if is_locked else query).scalar()
    if n_losses is None:
        raise LeaseLostError(f"Trial {lease.trial_number} was taken by another worker.")
    return int(n_losses)


def _lock_study(connection: Connection, study_id: int) -> _Budget:
    """Let one transaction at a time decide for the study, and return its budget."""
    return _read_budget(connection, study_id, is_locked=True)


def _read_budget(connection: Connection, study_id: int, *, is_locked: bool = False) -> _Budget:
    query = sa.select(studies.c.n_trials, studies.c.end_reason.is_not(None)).where(
        studies.c.study_id == study_id
    )
    row = connection.execute(query.with_for_update() if is_locked else query).first()
    if row is None:
        raise StudyNotFoundError("The study was deleted from the store.")
    return _Budget(*row)


def _is_lease(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        leases.c.lease_id == lease.lease_id,
        leases.c.generation == lease.generation,
        leases.c.worker_id == lease.worker_id,
    )


def _held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_is_lease(lease), leases.c.kind.is_(None))


def _update_held(connection: Connection, lease: Lease, **values: Any) -> None:
    result = connection.execute(leases.update().where(*_held(lease)).values(**values))
    if result.rowcount != 1:
        raise LeaseLostError(f"Trial {lease.trial_number} was taken by another worker.")


def _take(connection: Connection, row: Any, worker_id: str) -> Lease:
    connection.execute(
        leases.update()
        .where(leases.c.lease_id == row.lease_id)
        .values(worker_id=worker_id, generation=row.generation + 1)
    )
    set_running(connection, row.trial_id)
    return Lease(
        lease_id=row.lease_id,
        study_id=row.study_id,
        worker_id=worker_id,
        generation=row.generation + 1,
        n_losses=row.n_losses,
        trial_id=row.trial_id,
        trial_number=row.trial_number,
    )
