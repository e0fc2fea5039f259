"""Reading all trials of a study at once, by plain SQL on Optuna's tables.

`study.trials` builds an object graph a trial and takes seconds at a thousand of them; a table of
results needs four queries.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from sqlalchemy.engine import Connection

from storage.outcomes import Outcome
from storage.store import Store
from storage.tables import epochs, leases

_trials = sa.table(
    "trials",
    *map(sa.column, ("trial_id", "number", "study_id", "state")),
    sa.column("datetime_start", sa.DateTime),
    sa.column("datetime_complete", sa.DateTime),
)
trial_state: sa.ColumnElement[str] = sa.cast(_trials.c.state, sa.Text)
"""To compare with: PostgreSQL has a type of its own for states."""
_values = sa.table(
    "trial_values", sa.column("trial_id"), sa.column("objective"), sa.column("value")
)
_params = sa.table(
    "trial_params",
    *map(sa.column, ("param_id", "trial_id", "param_name", "param_value", "distribution_json")),
)
_attributes = sa.table("trial_user_attributes", *map(sa.column, ("trial_id", "key", "value_json")))


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve in short.

    `best_epoch` is the first epoch with the highest validation accuracy, None before there is
    one; `seconds` is the time of all epochs.
    """

    n_epochs: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as a table shows it.

    `state` is Optuna's, in capitals. `value` is the final value. `outcome` is ours, None while
    the trial is open.
    """

    trial_id: int
    number: int
    state: str
    value: float | None
    params: dict[str, Any]
    attributes: dict[str, Any]
    outcome: Outcome | None
    curve: Curve
    started: datetime | None
    finished: datetime | None


def load_trials(store: Store, study_id: int) -> list[TrialRow]:
    """Gives all trials of a study in the order of their numbers."""
    with store.read() as connection:
        trials = connection.execute(
            sa.select(_trials).where(_trials.c.study_id == study_id).order_by(_trials.c.number)
        ).all()
        values = _load_values(connection, study_id)
        params = _load_params(connection, study_id)
        attributes = _load_attributes(connection, study_id)
        outcomes = _load_outcomes(connection, study_id)
        curves = _load_curves(connection, study_id)
    rows = []
    for trial in trials:
        rows.append(
            TrialRow(
                trial_id=trial.trial_id,
                number=trial.number,
                state=trial.state,
                value=values.get(trial.trial_id),
                params=params.get(trial.trial_id, {}),
                attributes=attributes.get(trial.trial_id, {}),
                outcome=outcomes.get(trial.trial_id),
                curve=curves.get(trial.trial_id, Curve()),
                started=trial.datetime_start,
                finished=trial.datetime_complete,
            )
        )
    return rows


def _of_study(table: sa.TableClause, study_id: int) -> sa.Select[Any]:
    return (
        sa.select(table)
        .join(_trials, _trials.c.trial_id == table.c.trial_id)
        .where(_trials.c.study_id == study_id)
    )


def _load_values(connection: Connection, study_id: int) -> dict[int, float | None]:
    rows = connection.execute(_of_study(_values, study_id).where(_values.c.objective == 0))
    return {row.trial_id: row.value for row in rows}


def _load_params(connection: Connection, study_id: int) -> dict[int, dict[str, Any]]:
    rows = connection.execute(_of_study(_params, study_id).order_by(_params.c.param_id))
    distributions: dict[str, BaseDistribution] = {}
    params: dict[int, dict[str, Any]] = {}
    for row in rows:
        text = row.distribution_json
        if text not in distributions:
            distributions[text] = json_to_distribution(text)
        value = distributions[text].to_external_repr(row.param_value)
        params.setdefault(row.trial_id, {})[row.param_name] = value
    return params


def _load_attributes(connection: Connection, study_id: int) -> dict[int, dict[str, Any]]:
    return _by_trial(
        (row.trial_id, row.key, json.loads(row.value_json))
        for row in connection.execute(_of_study(_attributes, study_id))
    )


def _by_trial(items: Iterable[tuple[int, str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for trial_id, key, value in items:
        found.setdefault(trial_id, {})[key] = value
    return found


def _load_outcomes(connection: Connection, study_id: int) -> dict[int, Outcome]:
    rows = connection.execute(
        sa.select(leases.c.trial_id, leases.c.outcome).where(
            leases.c.study_id == study_id, leases.c.outcome.is_not(None)
        )
    )
    return {row.trial_id: Outcome.from_json(row.outcome) for row in rows}


def _load_curves(connection: Connection, study_id: int) -> dict[int, Curve]:
    rows = connection.execute(
        sa.select(epochs.c.trial_id, epochs.c.epoch, epochs.c.val_accuracy, epochs.c.seconds)
        .join(leases, leases.c.trial_id == epochs.c.trial_id)
        .where(leases.c.study_id == study_id)
        .order_by(epochs.c.trial_id, epochs.c.epoch)
    )
    curves: dict[int, Curve] = {}
    for row in rows:
        known = curves.get(row.trial_id, Curve())
        is_better = known.best_accuracy is None or row.val_accuracy > known.best_accuracy
        curves[row.trial_id] = Curve(
            n_epochs=row.epoch,
            seconds=known.seconds + row.seconds,
            best_epoch=row.epoch if is_better else known.best_epoch,
            best_accuracy=row.val_accuracy if is_better else known.best_accuracy,
        )
    return curves
