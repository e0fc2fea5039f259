"""Learning curves: a row for each epoch, written by the worker that holds the trial's lease."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from storage.coordination.epoch_row import EpochRow
from storage.coordination.leases import Lease, check_held, update_held
from storage.coordination.pending_writes import PendingWrites, transaction_with
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.writes import insert_missing
from storage.tables import epochs, leases

CURVE_COLUMNS = tuple(column for column in epochs.c if column.name != "trial_id")


@with_retry
def record_epoch(
    store: Store, lease: Lease, row: EpochRow, pending: PendingWrites | None = None
) -> None:
    """Add an epoch to a trial's curve unless it is there, and write pending writes with it.

    Raises:
        LeaseLostError: If the trial was taken by another worker.
    """
    with transaction_with(store, pending) as connection:
        n_losses = check_held(connection, lease)
        is_new = insert_missing(connection, epochs, {"trial_id": lease.trial_id, **asdict(row)})
        if is_new and n_losses:  # Training continues: the trial itself did not cause the losses.
            update_held(connection, lease, n_losses=0)


@with_retry
def load_curve(store: Store, trial_id: int) -> list[EpochRow]:
    """Return a trial's epochs in order."""
    query = sa.select(*CURVE_COLUMNS).where(epochs.c.trial_id == trial_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(epochs.c.epoch))
        return [EpochRow(**row._mapping) for row in rows]


@with_retry
def count_epochs(store: Store, study_id: int | None) -> int:
    """Count the trained epochs of a study, or of all studies."""
    query = sa.select(sa.func.count()).select_from(epochs)
    if study_id is not None:
        query = _of_study(query, study_id)
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


@with_retry
def load_curves(store: Store, study_id: int) -> dict[int, list[EpochRow]]:
    """Return the epochs of all trials of a study, by trial id."""
    query = _of_study(sa.select(epochs.c.trial_id, *CURVE_COLUMNS), study_id)
    names = [column.name for column in CURVE_COLUMNS]
    curves: dict[int, list[EpochRow]] = {}
    with store.read() as connection:
        rows = connection.execute(query.order_by(epochs.c.trial_id, epochs.c.epoch))
        for trial_id, *values in rows:
            row = EpochRow(**dict(zip(names, values, strict=True)))
            curves.setdefault(trial_id, []).append(row)
    return curves


@with_retry
def longest_epoch_s(store: Store, study_id: int) -> float | None:
    """Return the wall time of the study's longest epoch in seconds, None before the first."""
    longest = sa.select(sa.func.max(epochs.c.seconds)).select_from(epochs)
    with store.read() as connection:
        return connection.execute(_of_study(longest, study_id)).scalar()


def _of_study(query: sa.Select[Any], study_id: int) -> sa.Select[Any]:
    """Restrict a query of epochs to the trials of a study."""
    joined = query.join(leases, leases.c.trial_id == epochs.c.trial_id)
    return joined.where(leases.c.study_id == study_id)
