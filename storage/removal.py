"""Removing studies: everything that the store holds of one, in an order that may be cut off."""

import optuna
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.optuna_tables import studies as optuna_studies
from storage.optuna_tables import trials
from storage.patience import patient
from storage.store import Store
from storage.studies import find_study_id
from storage.tables import epochs, leases, studies, workers


def delete_study(store: Store, name: str) -> None:
    """Deletes a study: our rows first, then Optuna's.

    What is left when it is cut off in between is a plain Optuna study, which the same call
    deletes. The other way round a new study could get the old one's id, and its rows.

    Raises:
        StudyNotFoundError: If there is no such study.
    """
    study_id = find_study_id(store, name)
    if not store.is_plain:
        _delete_ours(store, study_id)
    optuna.delete_study(study_name=name, storage=store.optuna_storage)


@patient
def _delete_ours(store: Store, study_id: int) -> None:
    of_study = studies.c.study_id == study_id
    with store.write() as connection:
        # Those who begin a trial of it, or enter a config, hold the study first and then a lease.
        connection.execute(sa.select(studies.c.study_id).where(of_study).with_for_update())
        _delete_rows(connection, leases.c.study_id == study_id)
        connection.execute(workers.delete().where(workers.c.study_id == study_id))
        connection.execute(studies.delete().where(of_study))


@patient
def count_strays(store: Store) -> int:
    """Counts our rows about studies and trials that Optuna has no more."""
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
    """Deletes those rows: a new study or trial would otherwise inherit them with its id."""
    with store.write() as connection:
        _delete_rows(connection, _is_stray_lease())
        connection.execute(workers.delete().where(_has_no_study(workers)))
        connection.execute(studies.delete().where(_has_no_study(studies)))


def _delete_rows(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """Deletes leases, and the epochs of their trials."""
    trial_ids = sa.select(leases.c.trial_id).where(which, leases.c.trial_id.is_not(None))
    connection.execute(epochs.delete().where(epochs.c.trial_id.in_(trial_ids)))
    connection.execute(leases.delete().where(which))


def _has_no_study(table: sa.Table) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(optuna_studies.c.study_id == table.c.study_id)


def _is_stray_lease() -> sa.ColumnElement[bool]:
    has_no_trial = ~sa.exists().where(trials.c.trial_id == leases.c.trial_id)
    return sa.or_(_has_no_study(leases), sa.and_(leases.c.trial_id.is_not(None), has_no_trial))
