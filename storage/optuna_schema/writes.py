"""Optuna's trials begun, written and ended within our transactions, by Optuna's own rules.

So a lease and its trial always change together. To plain Optuna, the trials look like its own.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.errors import StudyNotFoundError
from storage.optuna_schema import tables
from storage.optuna_schema.tables import trials, utc_now
from storage.tables import leases
from storage.trial_outcomes import Outcome

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

Row = dict[str, Any]


def take_enqueued(connection: Connection, study_id: int) -> tuple[int, int] | None:
    """Start the oldest waiting trial without a lease; return its id and number, None if none."""
    row = connection.execute(
        sa.select(trials.c.trial_id, trials.c.number)
        .outerjoin(leases, leases.c.trial_id == trials.c.trial_id)
        .where(
            trials.c.study_id == study_id,
            trials.c.state == TrialState.WAITING,
            leases.c.lease_id.is_(None),
        )
        .order_by(trials.c.number)
        .limit(1)
    ).first()
    if row is None or not set_running(connection, row.trial_id):
        return None
    return row.trial_id, row.number


def lock_optuna_study(connection: Connection, study_id: int) -> None:
    """Lock a study until the transaction ends, as Optuna does when it numbers trials.

    Raises:
        StudyNotFoundError: If it was deleted.
    """
    query = sa.select(tables.studies.c.study_id).where(tables.studies.c.study_id == study_id)
    if connection.execute(query.with_for_update()).first() is None:
        raise StudyNotFoundError("The study was deleted meanwhile.")


def add_trial(connection: Connection, study_id: int) -> tuple[int, int]:
    """Add a running trial, and return its id and number."""
    lock_optuna_study(connection, study_id)
    n_before = sa.select(sa.func.count()).select_from(trials).where(trials.c.study_id == study_id)
    row = connection.execute(
        trials.insert()
        .values(
            study_id=study_id,
            number=n_before.scalar_subquery(),
            state=TrialState.RUNNING,
            datetime_start=utc_now(),
        )
        .returning(trials.c.trial_id, trials.c.number)
    ).one()
    return row.trial_id, row.number


def set_running(connection: Connection, trial_id: int) -> bool:
    """Set a waiting trial to RUNNING; return False if it is no longer waiting."""
    changed = connection.execute(
        trials.update()
        .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.WAITING)
        .values(state=TrialState.RUNNING, datetime_start=utc_now())
    )
    return changed.rowcount == 1


def set_waiting(connection: Connection, trial_id: int) -> None:
    """Set a running trial to WAITING; an ended one stays ended."""
    connection.execute(
        trials.update()
        .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING)
        .values(state=TrialState.WAITING)
    )


def end_trial(connection: Connection, trial_id: int, outcome: Outcome) -> bool:
    """End a trial with its outcome; return False and change nothing if it has ended already."""
    if has_ended(connection, trial_id):
        return False
    reason = {"reason": outcome.reason} if outcome.reason else {}
    write_attributes(connection, trial_id, {**reason, **outcome.metrics})
    value = outcome.value if outcome.kind == "complete" else None
    if outcome.state == TrialState.PRUNED:
        value = _last_report(connection, trial_id)
    if value is not None:
        upsert(connection, tables.values, [{"trial_id": trial_id, **value_row(0, value)}])
    connection.execute(
        trials.update()
        .where(trials.c.trial_id == trial_id)
        .values(state=outcome.state, datetime_complete=utc_now())
    )
    return True


def has_ended(connection: Connection, trial_id: int) -> bool:
    """Whether Optuna's trial has ended, or was deleted."""
    state: TrialState | None = connection.execute(
        sa.select(trials.c.state).where(trials.c.trial_id == trial_id)
    ).scalar()
    return state is None or state.is_finished()


def write_attributes(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Set user attributes of a trial."""
    rows = ({"trial_id": trial_id, **attribute_row(*item)} for item in attributes.items())
    upsert(connection, tables.user_attributes, rows)


def value_row(objective: int, value: float) -> Row:
    """Return the row of a final value, without the trial's id."""
    stored, kind = tables.to_stored(value)
    return {"objective": objective, "value": stored, "value_type": kind}


def report_row(step: int, value: float) -> Row:
    """Return the row of an intermediate value, without the trial's id."""
    stored, kind = tables.to_stored(value)
    return {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def param_row(name: str, internal_value: float, distribution_json: str) -> Row:
    """Return the row of a parameter, without the trial's id."""
    return {
        "param_name": name,
        "param_value": internal_value,
        "distribution_json": distribution_json,
    }


def attribute_row(key: str, value: Any) -> Row:
    """Return the row of an attribute, without the trial's id."""
    return {"key": key, "value_json": json.dumps(value)}


def upsert(connection: Connection, table: sa.TableClause, rows: Iterable[Row]) -> None:
    """Insert rows of trials, and replace those of equal keys."""
    chosen: Sequence[Row] = list(rows)
    if not chosen:
        return
    insert = _insert(connection, table)
    key = ROW_KEYS[table]
    changed = {name: insert.excluded[name] for name in chosen[0] if name not in {"trial_id", key}}
    statement = insert.on_conflict_do_update(index_elements=["trial_id", key], set_=changed)
    connection.execute(statement, chosen)


def insert_missing(connection: Connection, table: sa.TableClause, row: Row) -> bool:
    """Insert a row; return False and keep the other row if its key exists already."""
    inserted = connection.execute(_insert(connection, table).on_conflict_do_nothing().values(row))
    return inserted.rowcount == 1


def _insert(connection: Connection, table: sa.TableClause) -> "Insert":
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _last_report(connection: Connection, trial_id: int) -> float | None:
    """Return a trial's last report, None if there is none or it is NaN."""
    row = connection.execute(
        sa.select(tables.reports.c.intermediate_value, tables.reports.c.intermediate_value_type)
        .where(tables.reports.c.trial_id == trial_id)
        .order_by(tables.reports.c.step.desc())
        .limit(1)
    ).first()
    value = math.nan if row is None else tables.from_stored(*row)
    return None if math.isnan(value) else value


ROW_KEYS: Mapping[sa.TableClause, str] = {
    tables.params: "param_name",
    tables.user_attributes: "key",
    tables.system_attributes: "key",
    tables.reports: "step",
    tables.values: "objective",
}
"""The column that distinguishes the rows of one trial."""
