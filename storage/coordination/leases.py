"""Leases: the right of one worker to train one trial, each a unit of the study's budget.

A lease begins with its trial. Taking it raises its generation, and a worker's writes need the
current one: a worker that has lost its trial can no longer change it.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.coordination.budget import can_claim
from storage.coordination.pending_writes import PendingWrites, transaction_with
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import LeaseLostError
from storage.optuna_schema.writes import add_trial, set_running, set_waiting, take_enqueued
from storage.studies.records import lock_study
from storage.tables import epochs, leases, studies
from storage.trial_outcomes import Outcome

MAX_LOSSES = 3
"""A trial fails if its worker or trainer dies this often without a new epoch in between."""


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

    @classmethod
    def of(cls, row: Any, **changed: Any) -> Self:
        """Return the lease of a row, or of an `OpenLease`, with some fields changed."""
        return cls(**{it.name: getattr(row, it.name) for it in fields(cls)} | changed)


@dataclass(frozen=True, slots=True)
class OpenLease:
    """A lease without an outcome in Optuna; its worker is None after a release."""

    lease_id: int
    study_id: int
    worker_id: str | None
    generation: int
    trial_id: int
    trial_number: int
    n_losses: int
    outcome: Outcome | None


@with_retry
def begin_trial(
    store: Store, study_id: int, worker_id: str, *, only_enqueued: bool = False
) -> Lease | None:
    """Begin an enqueued trial or a new one, and its lease in the same transaction.

    Return None if the whole budget is claimed, the study has ended, or `only_enqueued` is set and
    no trial is enqueued.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.write() as connection:
        if not can_claim(connection, study_id):
            return None
        begun = take_enqueued(connection, study_id)
        if begun is None and only_enqueued:
            return None
        trial_id, number = begun or add_trial(connection, study_id)
        if connection.dialect.name == "sqlite":  # It reuses the ids of deleted trials.
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
    """Take the oldest released trial; None if there is none.

    A trial that the worker holds already is taken too: the answer to an earlier commit was lost.
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
    with store.read() as connection:  # Usually there is none, and no lock is needed.
        if connection.execute(released).first() is None:
            return None
    with store.write() as connection:
        row = connection.execute(released.with_for_update()).first()
        if row is None:
            return None
        lease = Lease.of(row, worker_id=worker_id, generation=row.generation + 1)
        connection.execute(
            leases.update()
            .where(leases.c.lease_id == lease.lease_id)
            .values(worker_id=worker_id, generation=lease.generation)
        )
        set_running(connection, lease.trial_id)
    return lease


@with_retry
def release_lease(store: Store, lease: Lease, *, lost: bool = False) -> None:
    """Release a trial so that any worker can resume it; `lost` counts a loss."""
    generation = lease.generation + 1
    is_free = (
        leases.c.lease_id == lease.lease_id,
        leases.c.generation == generation,
        leases.c.worker_id.is_(None),
    )
    with store.write() as connection:
        if connection.execute(sa.select(leases.c.lease_id).where(*is_free)).first():
            return  # This is a retry: the first call was committed.
        update_held(
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
    """Record the trial's config with pending writes, unless another trial of the study has it.

    Return the number of the other trial, None if the config is new.

    Raises:
        LeaseLostError: If the trial was taken meanwhile.
        StudyNotFoundError: If the study was deleted.
    """
    with transaction_with(store, pending) as connection:
        lock_study(connection, lease.study_id)
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
            update_held(connection, lease, config_key=config_key)
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
    """Record how a trial ended; Optuna's trial is ended afterwards."""
    with transaction_with(store, pending) as connection:
        known = connection.execute(
            sa.select(leases.c.outcome).where(*_is_lease(lease)).with_for_update()
        ).scalar()
        if known == outcome.to_json():  # This is a retry: the first call was committed.
            if pending is not None:
                pending.clear()
            return
        update_held(
            connection,
            lease,
            outcome=outcome.to_json(),
            kind=outcome.kind,
            ended_at=store.now(connection),
            counts=outcome.counts,
        )


@with_retry
def list_open_leases(store: Store, study_id: int) -> list[OpenLease]:
    """Return the leases without an outcome in Optuna, by trial number."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(*(leases.c[it.name] for it in fields(OpenLease)))
            .where(leases.c.study_id == study_id, leases.c.told.is_(False))
            .order_by(leases.c.trial_number)
        ).all()
    return [
        OpenLease(**{**row._mapping, "outcome": row.outcome and Outcome.from_json(row.outcome)})
        for row in rows
    ]


@with_retry
def last_outcomes(store: Store, study_id: int, n: int) -> list[tuple[int, str]]:
    """Return numbers and kinds of the last `n` trials since the budget was set, newest first."""
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


@with_retry
def count_losses(store: Store, lease: Lease) -> int:
    """Count the losses of a trial since its last new epoch."""
    with store.read() as connection:
        return check_held(connection, lease, is_locked=False)


def check_held(connection: Connection, lease: Lease, *, is_locked: bool = True) -> int:
    """Check within a transaction that the worker holds the lease; return the trial's losses.

    Raises:
        LeaseLostError: If it does not.
    """
    query = sa.select(leases.c.n_losses).where(*_held(lease))
    n_losses = connection.execute(query.with_for_update() if is_locked else query).scalar()
    if n_losses is None:
        raise LeaseLostError(f"Trial {lease.trial_number} was taken by another worker.")
    return int(n_losses)


def _is_lease(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        leases.c.lease_id == lease.lease_id,
        leases.c.generation == lease.generation,
        leases.c.worker_id == lease.worker_id,
    )


def _held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_is_lease(lease), leases.c.kind.is_(None))


def update_held(connection: Connection, lease: Lease, **values: Any) -> None:
    """Change columns of a lease that the worker holds, or raise `LeaseLostError`."""
    result = connection.execute(leases.update().where(*_held(lease)).values(**values))
    if result.rowcount != 1:
        raise LeaseLostError(f"Trial {lease.trial_number} was taken by another worker.")
