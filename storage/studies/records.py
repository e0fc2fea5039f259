"""Records of studies: found, listed, changed and ended."""

from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import StudyNotFoundError
from storage.optuna_schema.tables import directions, trials
from storage.optuna_schema.tables import studies as optuna_studies
from storage.optuna_schema.writes import lock_optuna_study
from storage.tables import studies

MAX_SHOWN_NAMES, MAX_SHOWN_NAME = 20, 60
"""Most names of studies that an error lists, and most characters of each."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What the store keeps of a study beside Optuna's tables.

    `settings` is JSON that `search` reads. `n_trials` and `timeout_s` are the budget, None for
    no bound; `active_s` is the time in which the study had a living worker. `end_reason` says why
    the study ended before its budget was spent, and `has_failed` whether that is a failure.
    Standing workers serve studies of a higher `priority` first; `is_stopped` makes all workers
    stop serving it. Of a plain Optuna study, `is_optuna_only`, only name and direction are known.
    """

    study_id: int
    name: str
    settings: str = "{}"
    n_trials: int | None = None
    timeout_s: float | None = None
    active_s: float = 0.0
    end_reason: str | None = None
    has_failed: bool = False
    priority: int = 0
    is_stopped: bool = False
    direction: str = "maximize"
    is_optuna_only: bool = False


@with_retry
def load_study(store: Store, name: str) -> StudyRecord:
    """Load the record of a study.

    Raises:
        StudyNotFoundError: If the store has no such study of ours; the message lists those it has.
    """
    if store.is_optuna_only:
        raise _not_found(store, name)
    columns = [column for column in studies.c if column.name in StudyRecord.__dataclass_fields__]
    with store.read() as connection:
        row = connection.execute(
            sa.select(optuna_studies.c.study_name.label("name"), *columns)
            .join(optuna_studies, optuna_studies.c.study_id == studies.c.study_id)
            .where(optuna_studies.c.study_name == name)
        ).first()
    if row is None:
        raise _not_found(store, name)
    return StudyRecord(**row._mapping)


@with_retry
def find_study(store: Store, name: str) -> StudyRecord:
    """Load the record of a study of ours, or of a plain Optuna study for reading.

    Raises:
        StudyNotFoundError: If the store has neither, or the study has several objectives.
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
    return StudyRecord(study_id, name, direction=direction.lower(), is_optuna_only=True)


def _not_found(store: Store, name: str) -> StudyNotFoundError:
    names = [name[:MAX_SHOWN_NAME] for name in list_all_studies(store)]
    known = ", ".join(names[:MAX_SHOWN_NAMES]) or "none"
    if len(names) > MAX_SHOWN_NAMES:
        known += f" and {len(names) - MAX_SHOWN_NAMES:,} more"
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
    """Load a study as Optuna's own."""
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
    """Return the id of a trial's study, None if there is no such trial."""
    query = sa.select(trials.c.study_id).where(trials.c.trial_id == trial_id)
    with store.read() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else int(found)


@with_retry
def list_studies(store: Store) -> list[str]:
    """Return the names of our studies in the store, sorted."""
    names = (
        sa.select(optuna_studies.c.study_name)
        .join(studies, optuna_studies.c.study_id == studies.c.study_id)
        .order_by(optuna_studies.c.study_name)
    )
    with store.read() as connection:
        return list(connection.scalars(names))


@with_retry
def list_all_studies(store: Store) -> list[str]:
    """Return the names of all studies in the store, plain Optuna studies too, sorted."""
    with store.read() as connection:
        return sorted(connection.scalars(sa.select(optuna_studies.c.study_name)))


@with_retry
def set_stopped(store: Store, study_id: int, is_stopped: bool) -> None:
    """Make all workers stop serving a study after their current epoch, or serve it again."""
    with store.write() as connection:
        update_study(connection, study_id, is_stopped=is_stopped)


@with_retry
def update_settings(store: Store, study_id: int, settings: str) -> None:
    """Replace the settings of a study."""
    with store.write() as connection:
        update_study(connection, study_id, settings=settings)


@with_retry
def end_study(store: Store, study_id: int, reason: str, *, has_failed: bool = False) -> None:
    """Record why a study ends before its budget is spent; the first reason stays."""
    with store.write() as connection:
        _end(connection, study_id, reason, has_failed=has_failed)


@with_retry
def end_if_queue_empty(store: Store, study_id: int, reason: str) -> None:
    """End a study that trains only queued configs, once the last of them has begun."""
    waits = sa.select(trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.state == TrialState.WAITING
    )
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        if connection.execute(waits.limit(1)).first() is None:
            _end(connection, study_id, reason, has_failed=False)


def lock_study(
    connection: Connection, study_id: int, *columns: sa.Column[Any], is_locked: bool = True
) -> Any:
    """Return columns of a study's record, locked until the transaction ends.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    query = sa.select(*columns or [studies.c.study_id]).where(studies.c.study_id == study_id)
    row = connection.execute(query.with_for_update() if is_locked else query).first()
    if row is None:
        raise StudyNotFoundError("The study was deleted from the store.")
    return row


def update_study(
    connection: Connection, study_id: int, *conditions: sa.ColumnElement[bool], **values: Any
) -> None:
    """Change columns of a study's record where all conditions hold."""
    of_study = studies.c.study_id == study_id
    connection.execute(studies.update().where(of_study, *conditions).values(**values))


def _end(connection: Connection, study_id: int, reason: str, *, has_failed: bool) -> None:
    is_open = studies.c.end_reason.is_(None)
    update_study(connection, study_id, is_open, end_reason=reason, has_failed=has_failed)
