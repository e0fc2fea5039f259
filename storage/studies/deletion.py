"""Deleting studies and their trials, in an order that makes interruptions harmless."""

from collections.abc import Callable, Sequence

import optuna
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema import tables
from storage.optuna_schema.tables import trials
from storage.studies.orphans import delete_leases
from storage.studies.records import find_study_id
from storage.tables import epochs, leases, predictions, studies, workers


def delete_study(store: Store, name: str) -> None:
    """Delete a study: our rows first, then Optuna's.

    An interruption leaves a plain Optuna study, which the same call deletes. In the other order,
    a new study could get the id of the old one, and its rows.

    Raises:
        StudyNotFoundError: If there is no such study.
    """
    study_id = find_study_id(store, name)
    if not store.is_optuna_only:
        _delete_ours(store, study_id)
    optuna.delete_study(study_name=name, storage=store.optuna_storage)


@with_retry
def _delete_ours(store: Store, study_id: int) -> None:
    of_study = studies.c.study_id == study_id
    with store.write() as connection:
        # Other transactions also lock the study first, then a lease.
        connection.execute(sa.select(studies.c.study_id).where(of_study).with_for_update())
        delete_leases(connection, leases.c.study_id == study_id)
        connection.execute(predictions.delete().where(predictions.c.study_id == study_id))
        connection.execute(workers.delete().where(workers.c.study_id == study_id))
        connection.execute(studies.delete().where(of_study))


BATCH_SIZE = 500
"""Trials in one transaction, for which other writers wait: a tenth of a second."""

TRIAL_TABLES = (
    tables.params,
    tables.values,
    tables.reports,
    tables.user_attributes,
    tables.system_attributes,
    sa.table("trial_heartbeats", sa.column("trial_id")),
)


def delete_trials(
    store: Store, study_id: int, progress: Callable[[int, int, str], None] | None = None
) -> None:
    """Delete all trials of a study that gets no more trials, the last one first.

    An interruption leaves a study whose trials are numbered without a gap. `progress` is called
    with the number of deleted trials, the number of all trials, and a text.
    """
    ids = _list_ids(store, study_id)
    for start in range(0, len(ids), BATCH_SIZE):
        _delete_batch(store, ids[start : start + BATCH_SIZE])
        if progress is not None:
            progress(min(start + BATCH_SIZE, len(ids)), len(ids), "trials deleted")


@with_retry
def _list_ids(store: Store, /, study_id: int) -> list[int]:
    query = sa.select(trials.c.trial_id).where(trials.c.study_id == study_id)
    with store.read() as connection:
        return list(connection.scalars(query.order_by(trials.c.number.desc())))


@with_retry
def _delete_batch(store: Store, /, ids: Sequence[int]) -> None:
    with store.write() as connection:
        if not store.is_optuna_only:
            # In the transaction of the trials: SQLite reuses their ids.
            _delete(connection, leases, ids)
            _delete(connection, epochs, ids)
        for table in (*TRIAL_TABLES, trials):
            _delete(connection, table, ids)


def _delete(connection: Connection, table: sa.TableClause, ids: Sequence[int]) -> None:
    connection.execute(sa.delete(table).where(table.c.trial_id.in_(ids)))
