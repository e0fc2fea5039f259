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
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.frozen_trials import read_distribution
from storage.optuna_tables import params as _params
from storage.optuna_tables import trials as _trials
from storage.optuna_tables import user_attributes as _attributes
from storage.optuna_tables import values as _values
from storage.outcomes import Outcome
from storage.store import Store
from storage.tables import epochs, leases


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
                state=trial.state.name,
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


def list_kept(store: Store, study_id: int, *, n_best: int, n_pruned: int) -> set[int]:
    """Gives the numbers of the open trials, the best complete ones and the last pruned ones."""
    of_study = leases.c.study_id == study_id
    open_ones = sa.select(leases.c.trial_number).where(of_study, leases.c.kind.is_(None))
    best = (
        sa.select(_trials.c.number)
        .join(_values, _values.c.trial_id == _trials.c.trial_id)
        .where(_trials.c.study_id == study_id, _trials.c.state == TrialState.COMPLETE)
        .order_by(_values.c.value.desc(), _trials.c.number)
        .limit(n_best)
    )
    pruned = (
        sa.select(leases.c.trial_number)
        .where(of_study, leases.c.kind == "pruned")
        .order_by(leases.c.trial_number.desc())
        .limit(n_pruned)
    )
    with store.read() as connection:
        return {
            number for query in (open_ones, best, pruned) for number in connection.scalars(query)
        }


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
    params: dict[int, dict[str, Any]] = {}
    for row in rows:
        value = read_distribution(row.distribution_json).to_external_repr(row.param_value)
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
