"""Studies: their settings, their budget, and the time their workers have spent on them."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.study import Study
from optuna.trial import TrialState

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import StudyNotFoundError
from storage.optuna_internals import study_id_of
from storage.optuna_schema.bulk_insert import QueuedConfig, enqueue_missing
from storage.optuna_schema.tables import directions, study_attributes, trials
from storage.optuna_schema.tables import studies as optuna_studies
from storage.optuna_schema.writes import lock_optuna_study
from storage.studies.orphans import delete_orphans
from storage.tables import leases, studies

HEARTBEAT_GAP_S = 60.0
"""A longer gap between two beats is time without a living worker, which no budget pays for."""
CREATED_BY = "convsearch:created_by"
"""An attribute of Optuna's study: the call that created ours, should it not hear that it did."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What the store keeps of a study beside Optuna's tables.

    `settings` is JSON that `search` reads. `n_trials` and `timeout_s` are the budget, None for
    no bound; `active_s` is the time in which the study had a living worker. `end_reason` says why
    the study ended before its budget was spent, and `has_failed` whether that is a failure.
    Standing workers serve studies of a higher `priority` first; `is_stopped` says that somebody
    wants all workers to leave. Of a study of Optuna alone, `is_optuna_only`, it is the name and
    the
    direction that are known.
    """

    study_id: int
    name: str
    settings: str
    n_trials: int | None
    timeout_s: float | None
    active_s: float
    end_reason: str | None
    has_failed: bool
    priority: int = 0
    is_stopped: bool = False
    direction: str = "maximize"
    is_optuna_only: bool = False


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
    """Create a study that maximizes, or loads the one of that name as it stands.

    Workers see it once our record of it is there, and the trials of its queue come with that: all
    of them or none.

    Args:
        store: The store.
        name: The study's.
        settings: JSON that `search` reads.
        n_trials: The budget of trials, None for no bound.
        timeout_s: The budget of time, None for no bound.
        priority: Standing workers serve studies of a higher one first.
        queue: The configs that a new study tries first.

    Returns:
        The study, and whether it is new.

    Raises:
        StudyNotFoundError: If somebody deletes it meanwhile.
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
    store: Store,
    /,
    study_id: int,
    caller: str,
    queue: Sequence[QueuedConfig],
    **values: Any,
) -> bool:
    """Add our record of a study with its queue where there is none; False if another has.

    A caller that did not hear of its commit finds its name in the study.
    """
    creator = (
        study_attributes.c.study_id == study_id,
        study_attributes.c.key == CREATED_BY,
    )
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        known = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
        if connection.execute(known).first() is not None:
            found = connection.execute(sa.select(study_attributes.c.value_json).where(*creator))
            return bool(found.scalar() == json.dumps(caller))
        enqueue_missing(connection, study_id, queue)
        connection.execute(studies.insert().values(study_id=study_id, **values))
        connection.execute(study_attributes.delete().where(*creator))
        connection.execute(
            study_attributes.insert().values(
                study_id=study_id, key=CREATED_BY, value_json=json.dumps(caller)
            )
        )
    return True


@with_retry
def enqueue(store: Store, study_id: int, queue: Sequence[QueuedConfig]) -> int:
    """Make a study train some configs, except those that it was told of before.

    Returns:
        How many are new to it.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        return enqueue_missing(connection, study_id, queue)


@with_retry
def load_study(store: Store, name: str) -> StudyRecord:
    """Load the record of a study.

    Raises:
        StudyNotFoundError: If the store has no such study of ours; the message lists those it has.
    """
    if store.is_optuna_only:
        raise _not_found(store, name)
    with store.read() as connection:
        row = connection.execute(
            sa.select(studies, optuna_studies.c.study_name)
            .join(optuna_studies, optuna_studies.c.study_id == studies.c.study_id)
            .where(optuna_studies.c.study_name == name)
        ).first()
    if row is None:
        raise _not_found(store, name)
    return StudyRecord(
        study_id=row.study_id,
        name=row.study_name,
        settings=row.settings,
        n_trials=row.n_trials,
        timeout_s=row.timeout_s,
        active_s=row.active_s,
        end_reason=row.end_reason,
        has_failed=row.has_failed,
        priority=row.priority,
        is_stopped=row.is_stopped,
    )


@with_retry
def find_study(store: Store, name: str) -> StudyRecord:
    """Load the record of a study to read it, be it ours or one of Optuna alone.

    Raises:
        StudyNotFoundError: If the store has neither, or the study has several objectives; the
            message lists the studies that it has.
    """
    if not store.is_optuna_only:
        try:
            return load_study(store, name)
        except StudyNotFoundError:
            pass
    with store.read() as connection:
        found = connection.execute(
            sa.select(optuna_studies.c.study_id, directions.c.direction)
            .join(directions, directions.c.study_id == optuna_studies.c.study_id)
            .where(optuna_studies.c.study_name == name)
        ).all()
    if not found:
        raise _not_found(store, name)
    if len(found) > 1:
        raise StudyNotFoundError(
            f"Expected a study of one objective. Received: {name!r}, which has {len(found)}."
        )
    (study_id, direction), *_ = found
    return StudyRecord(
        study_id=study_id,
        name=name,
        settings="{}",
        n_trials=None,
        timeout_s=None,
        active_s=0.0,
        end_reason=None,
        has_failed=False,
        direction=direction.lower(),
        is_optuna_only=True,
    )


def _not_found(store: Store, name: str) -> StudyNotFoundError:
    known = ", ".join(list_all_studies(store)) or "none"
    return StudyNotFoundError(
        f"There is no study {name!r} in {store.shown_url}. Studies there: {known}."
    )


def load_optuna_study(
    store: Store,
    name: str,
    *,
    sampler: optuna.samplers.BaseSampler | None = None,
    pruner: optuna.pruners.BasePruner | None = None,
) -> Study:
    """Open the study as Optuna's."""
    return optuna.load_study(
        study_name=name, storage=store.optuna_storage, sampler=sampler, pruner=pruner
    )


@with_retry
def find_study_id(store: Store, name: str) -> int:
    """Return the id of a study, one of ours or a plain Optuna study.

    Raises:
        StudyNotFoundError: If the store has no study of that name; the message lists those it has.
    """
    with store.read() as connection:
        rows = connection.execute(sa.select(optuna_studies)).all()
    ids = {row.study_name: int(row.study_id) for row in rows}
    if name not in ids:
        raise _not_found(store, name)
    return ids[name]


@with_retry
def find_study_of_trial(store: Store, trial_id: int) -> int | None:
    """Return the id of the study that a trial belongs to; None where there is no such trial."""
    query = sa.select(trials.c.study_id).where(trials.c.trial_id == trial_id)
    with store.read() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else int(found)


@with_retry
def list_studies(store: Store) -> list[str]:
    """Return the names of the studies in the store, sorted."""
    with store.read() as connection:
        names = connection.execute(
            sa.select(optuna_studies.c.study_name)
            .join(studies, optuna_studies.c.study_id == studies.c.study_id)
            .order_by(optuna_studies.c.study_name)
        )
        return [name for (name,) in names]


@with_retry
def list_all_studies(store: Store) -> list[str]:
    """Return the names of the studies in the store, those of Optuna alone too, sorted."""
    with store.read() as connection:
        return sorted(connection.scalars(sa.select(optuna_studies.c.study_name)))


@with_retry
def set_budget(
    store: Store,
    study_id: int,
    *,
    n_trials: int | None,
    timeout_s: float | None,
    priority: int | None = None,
) -> None:
    """Change the budget of a study, and opens it again if it had ended or was stopped.

    How its trials ended before is no reason any more to end it. Its priority stays what it is
    where none is given.
    """
    kept = studies.c.priority if priority is None else priority
    with store.write() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.study_id == study_id)
            .values(
                n_trials=n_trials,
                timeout_s=timeout_s,
                end_reason=None,
                has_failed=False,
                judged_from=store.now(connection),
                priority=kept,
                is_stopped=False,
            )
        )


@with_retry
def set_stopped(store: Store, study_id: int, is_stopped: bool) -> None:
    """Make all workers of a study leave at the end of their epochs, or lets them come again."""
    with store.write() as connection:
        connection.execute(
            studies.update().where(studies.c.study_id == study_id).values(is_stopped=is_stopped)
        )


@with_retry
def update_settings(store: Store, study_id: int, settings: str) -> None:
    """Replace the settings of a study."""
    with store.write() as connection:
        connection.execute(
            studies.update().where(studies.c.study_id == study_id).values(settings=settings)
        )


@with_retry
def end_study(store: Store, study_id: int, reason: str, *, has_failed: bool = False) -> None:
    """Record why a study ends before its budget is spent; the first reason stays."""
    with store.write() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.study_id == study_id, studies.c.end_reason.is_(None))
            .values(end_reason=reason, has_failed=has_failed)
        )


@with_retry
def end_if_queue_empty(store: Store, study_id: int, reason: str) -> None:
    """End a study that draws no configs, once it has begun all that it was told to train."""
    waits = sa.select(trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.state == TrialState.WAITING
    )
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        if connection.execute(waits.limit(1)).first() is None:
            connection.execute(
                studies.update()
                .where(studies.c.study_id == study_id, studies.c.end_reason.is_(None))
                .values(end_reason=reason)
            )


@with_retry
def count_done(store: Store, study_id: int) -> int:
    """Count the finished trials that count for the budget."""
    with store.read() as connection:
        return connection.execute(
            sa.select(sa.func.count())
            .select_from(leases)
            .where(leases.c.study_id == study_id, leases.c.kind.is_not(None), leases.c.counts)
        ).scalar_one()
