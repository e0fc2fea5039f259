"""Orphans: our rows of studies and trials that were deleted from Optuna's tables.

SQLite reuses the ids of deleted rows, so a new study or trial would get orphans of the old one.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.tables import studies as optuna_studies
from storage.optuna_schema.tables import trials
from storage.tables import epochs, leases, predictions, studies, workers


@with_retry
def count_orphans(store: Store) -> int:
    """Count orphaned studies and leases."""
    with store.read() as connection:
        n_studies = connection.execute(
            sa.select(sa.func.count()).select_from(studies).where(_has_no_study(studies))
        ).scalar_one()
        n_leases = connection.execute(
            sa.select(sa.func.count()).select_from(leases).where(_is_orphaned_lease())
        ).scalar_one()
    return n_studies + n_leases


@with_retry
def delete_orphans(store: Store) -> None:
    """Delete all orphans; call this before a study is created."""
    with store.write() as connection:
        delete_leases(connection, _is_orphaned_lease())
        connection.execute(predictions.delete().where(_has_no_study(predictions)))
        connection.execute(workers.delete().where(_has_no_study(workers)))
        connection.execute(studies.delete().where(_has_no_study(studies)))


def delete_leases(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """Delete leases, and the epochs of their trials."""
    trial_ids = sa.select(leases.c.trial_id).where(which, leases.c.trial_id.is_not(None))
    connection.execute(epochs.delete().where(epochs.c.trial_id.in_(trial_ids)))
    connection.execute(leases.delete().where(which))


def _has_no_study(table: sa.Table) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(optuna_studies.c.study_id == table.c.study_id)


def _is_orphaned_lease() -> sa.ColumnElement[bool]:
    has_no_trial = ~sa.exists().where(trials.c.trial_id == leases.c.trial_id)
    return sa.or_(_has_no_study(leases), sa.and_(leases.c.trial_id.is_not(None), has_no_trial))
