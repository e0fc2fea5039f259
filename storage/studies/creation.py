"""Creating studies, and queuing configs that they train first."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import optuna
import sqlalchemy as sa

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_internals import study_id_of
from storage.optuna_schema.bulk_insert import QueuedConfig, enqueue_missing
from storage.optuna_schema.tables import study_attributes
from storage.optuna_schema.writes import lock_optuna_study
from storage.studies.orphans import delete_orphans
from storage.studies.records import StudyRecord, list_all_studies, load_study
from storage.tables import studies

CREATED_BY = "convsearch:created_by"
"""An attribute of Optuna's study: the call that created ours, by which a retry recognizes it."""


def create_study(
    store: Store,
    name: str,
    *,
    settings: str,
    n_trials: int | None = None,
    timeout_s: float | None = None,
    priority: int = 0,
    queue: Sequence[QueuedConfig] = (),
) -> tuple[StudyRecord, bool]:
    """Create a study that maximizes, or load the existing one; return it and whether it is new.

    Workers see the study once our record of it (see `StudyRecord`) is there. The record and the
    trials of the queue, which a new study tries first, are written in one transaction.

    Raises:
        StudyNotFoundError: If the study is deleted meanwhile.
    """
    if name not in list_all_studies(store):
        delete_orphans(store)
    study = optuna.create_study(
        storage=store.optuna_storage, study_name=name, direction="maximize", load_if_exists=True
    )
    is_new = _insert_record(
        store,
        study_id_of(study),
        uuid.uuid4().hex,
        queue,
        settings=settings,
        n_trials=n_trials,
        timeout_s=timeout_s,
        priority=priority,
    )
    return load_study(store, name), is_new


@with_retry
def _insert_record(
    store: Store, /, study_id: int, caller: str, queue: Sequence[QueuedConfig], **values: Any
) -> bool:
    """Add our record of a study with its queue; False if another caller has added one.

    A retry whose first call was committed finds its own `caller` in the study's attributes.
    """
    table, creator = study_attributes, json.dumps(caller)
    is_creator = sa.and_(table.c.study_id == study_id, table.c.key == CREATED_BY)
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        known = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
        if connection.execute(known).first() is not None:
            found = connection.execute(sa.select(table.c.value_json).where(is_creator)).scalar()
            return bool(found == creator)
        enqueue_missing(connection, study_id, queue)
        connection.execute(studies.insert().values(study_id=study_id, **values))
        connection.execute(table.delete().where(is_creator))
        row = {"study_id": study_id, "key": CREATED_BY, "value_json": creator}
        connection.execute(table.insert().values(row))
    return True


@with_retry
def enqueue(store: Store, study_id: int, queue: Sequence[QueuedConfig]) -> int:
    """Queue configs that were not queued before, and return their number.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        return enqueue_missing(connection, study_id, queue)
