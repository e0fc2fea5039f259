"""Strays: rows of ours about studies and trials that Optuna has no more.

SQLite gives the ids of what was deleted again, and whatever gets one would inherit the rows.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database.retry import patient
from storage.database.store import Store
from storage.optuna_schema.tables import studies as optuna_studies
from storage.optuna_schema.tables import trials
from storage.tables import answers, epochs, leases, studies, workers


@patient
def count_strays(store: Store) -> int:
    """Counts strays."""
    with store.read() as connection:
        n_studies = connection.execute(
            sa.select(sa.func.count()).select_from(studies).where(_has_no_study(studies))
        ).scalar_one()
        n_leases = connection.execute(
            sa.select(sa.func.count()).select_from(leases).where(_is_stray_lease())
        ).scalar_one()
    return n_studies + n_leases


@patient
def delete_strays(store: Store) -> None:
    """Deletes strays; to be called before anything is created."""
    with store.write() as connection:
        delete_rows(connection, _is_stray_lease())
        connection.execute(answers.delete().where(_has_no_study(answers)))
        connection.execute(workers.delete().where(_has_no_study(workers)))
        connection.execute(studies.delete().where(_has_no_study(studies)))


def delete_rows(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """Deletes leases, and the epochs of their trials."""
    trial_ids = sa.select(leases.c.trial_id).where(which, leases.c.trial_id.is_not(None))
    connection.execute(epochs.delete().where(epochs.c.trial_id.in_(trial_ids)))
    connection.execute(leases.delete().where(which))


def _has_no_study(table: sa.Table) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(optuna_studies.c.study_id == table.c.study_id)


def _is_stray_lease() -> sa.ColumnElement[bool]:
    has_no_trial = ~sa.exists().where(trials.c.trial_id == leases.c.trial_id)
    return sa.or_(_has_no_study(leases), sa.and_(leases.c.trial_id.is_not(None), has_no_trial))
