"""Learning curves: one row an epoch, written only by the worker that holds the trial's lease."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from storage.coordination.leases import Lease, check_held, reset_losses
from storage.coordination.pending_writes import PendingWrites, transaction_with
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.writes import insert_missing
from storage.tables import epochs, leases


@dataclass(frozen=True, slots=True)
class EpochRow:
    """What one epoch of training came to.

    `epoch` counts from 1, through all phases; `seconds` is its wall time with validation;
    `memory_mb` the trainer's resident memory at its end; `phase` is 2 for fine-tuning, else 1.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    memory_mb: float
    phase: int = 1


@with_retry
def record_epoch(
    store: Store, lease: Lease, row: EpochRow, pending: PendingWrites | None = None
) -> None:
    """Add an epoch to a trial's curve; one that is there already stays as it is.

    What waits in the draft is written with it.

    Raises:
        LeaseLostError: If the trial was taken by another worker.
    """
    with transaction_with(store, pending) as connection:
        n_losses = check_held(connection, lease)
        is_new = insert_missing(connection, epochs, {"trial_id": lease.trial_id, **asdict(row)})
        if is_new and n_losses:  # It does get on, so what took it down was not of its making.
            reset_losses(connection, lease)


@with_retry
def load_curve(store: Store, trial_id: int) -> list[EpochRow]:
    """Return a trial's epochs in order."""
    columns = [column for column in epochs.c if column.name != "trial_id"]
    with store.read() as connection:
        rows = connection.execute(
            sa.select(*columns).where(epochs.c.trial_id == trial_id).order_by(epochs.c.epoch)
        )
        return [EpochRow(**row._mapping) for row in rows]


@with_retry
def count_epochs(store: Store, study_id: int | None) -> int:
    """Count the epochs that a study's trials have been trained for, or those of all studies."""
    query = sa.select(sa.func.count()).select_from(epochs)
    if study_id is not None:
        query = query.join(leases, leases.c.trial_id == epochs.c.trial_id).where(
            leases.c.study_id == study_id
        )
    with store.read() as connection:
        return connection.execute(query).scalar_one()


@with_retry
def load_curves(store: Store, study_id: int) -> dict[int, list[EpochRow]]:
    """Return the epochs of all trials of a study, by trial id."""
    columns = [column for column in epochs.c if column.name != "trial_id"]
    names = [column.name for column in columns]
    curves: dict[int, list[EpochRow]] = {}
    with store.read() as connection:
        rows = connection.execute(
            sa.select(epochs.c.trial_id, *columns)
            .join(leases, leases.c.trial_id == epochs.c.trial_id)
            .where(leases.c.study_id == study_id)
            .order_by(epochs.c.trial_id, epochs.c.epoch)
        )
        for trial_id, *values in rows:
            curves.setdefault(trial_id, []).append(
                EpochRow(**dict(zip(names, values, strict=True)))
            )
    return curves


@with_retry
def longest_epoch_s(store: Store, study_id: int) -> float | None:
    """Return the wall time of the study's longest epoch in seconds, None before the first."""
    with store.read() as connection:
        return connection.execute(
            sa.select(sa.func.max(epochs.c.seconds))
            .join(leases, leases.c.trial_id == epochs.c.trial_id)
            .where(leases.c.study_id == study_id)
        ).scalar()
