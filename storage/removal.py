"""Removing studies: everything that the store holds of one, in an order that may be cut off."""

import optuna
import sqlalchemy as sa

from storage.patience import patient
from storage.store import Store
from storage.strays import delete_rows
from storage.studies import find_study_id
from storage.tables import answers, leases, studies, workers


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
        delete_rows(connection, leases.c.study_id == study_id)
        connection.execute(answers.delete().where(answers.c.study_id == study_id))
        connection.execute(workers.delete().where(workers.c.study_id == study_id))
        connection.execute(studies.delete().where(of_study))
