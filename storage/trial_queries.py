"""The queries behind a table of trials: a few for thousands of trials, whatever they hold.

`study.trials` builds an object graph a trial, which takes seconds at a thousand of them.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage import optuna_tables as optunas
from storage.constraints import OF_OPTUNA_4, PREFIX, is_feasible
from storage.frozen_trials import read_distribution
from storage.outcomes import Outcome
from storage.patience import patient
from storage.store import Store
from storage.tables import epochs, leases

MAX_LISTED = 500
"""More trials than this are not named one by one: the whole study is read."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve in short.

    `best_epoch` is the first epoch with the highest validation accuracy, None before there is
    one; `seconds` is the time of all epochs, `memory_mb` the most that its trainer took.
    """

    n_epochs: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_accuracy: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some trials of a study, or all of them."""

    study_id: int
    trial_ids: Collection[int]

    def of(self, trial_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """The condition on a table's column of trial ids."""
        if len(self.trial_ids) <= MAX_LISTED:
            return trial_id.in_(list(self.trial_ids))
        ids = sa.select(optunas.trials.c.trial_id)
        return trial_id.in_(ids.where(optunas.trials.c.study_id == self.study_id))


def load_values(connection: Connection, chosen: Chosen) -> dict[int, float]:
    """Gives the values of trials that have one."""
    table = optunas.values
    rows = connection.execute(
        sa.select(table.c.trial_id, table.c.value, table.c.value_type).where(
            chosen.of(table.c.trial_id), table.c.objective == 0
        )
    )
    return {trial_id: optunas.from_stored(value, kind) for trial_id, value, kind in rows}


def load_params(
    connection: Connection, chosen: Chosen, names: Collection[str] | None
) -> dict[int, dict[str, Any]]:
    """Gives the parameters of trials by name, in the order in which they were drawn."""
    table = optunas.params
    query = sa.select(
        table.c.trial_id, table.c.param_name, table.c.param_value, table.c.distribution_json
    ).where(chosen.of(table.c.trial_id))
    if names is not None:
        query = query.where(table.c.param_name.in_(names))
    found: dict[int, dict[str, Any]] = {}
    for trial_id, name, value, text in connection.execute(query.order_by(table.c.param_id)):
        params = found.get(trial_id)
        if params is None:
            params = found[trial_id] = {}
        params[name] = read_distribution(text).to_external_repr(value)
    return found


def load_attributes(
    connection: Connection, chosen: Chosen, names: Collection[str] | None
) -> dict[int, dict[str, Any]]:
    """Gives the attributes of trials by name."""
    table = optunas.user_attributes
    query = sa.select(table.c.trial_id, table.c.key, table.c.value_json).where(
        chosen.of(table.c.trial_id)
    )
    if names is not None:
        query = query.where(table.c.key.in_(names))
    found: dict[int, dict[str, Any]] = {}
    for trial_id, key, text in connection.execute(query):
        found.setdefault(trial_id, {})[key] = json.loads(text)
    return found


def find_infeasible(connection: Connection, chosen: Chosen) -> set[int]:
    """Gives the trials that broke a constraint."""
    table = optunas.system_attributes
    query = sa.select(table.c.trial_id, table.c.key, table.c.value_json).where(
        chosen.of(table.c.trial_id),
        sa.or_(table.c.key == OF_OPTUNA_4, table.c.key.startswith(PREFIX)),
    )
    return {
        trial_id
        for trial_id, key, text in connection.execute(query)
        if not is_feasible({key: json.loads(text)})
    }


def load_outcomes(connection: Connection, chosen: Chosen) -> dict[int, Outcome]:
    """Gives the outcomes of trials that have one."""
    rows = connection.execute(
        sa.select(leases.c.trial_id, leases.c.outcome).where(
            chosen.of(leases.c.trial_id), leases.c.outcome.is_not(None)
        )
    )
    return {trial_id: Outcome.from_json(text) for trial_id, text in rows}


def load_curves(connection: Connection, chosen: Chosen) -> dict[int, Curve]:
    """Gives the curves of trials that have one, summed up by the database."""
    sums = (
        sa.select(
            epochs.c.trial_id,
            sa.func.max(epochs.c.epoch).label("n_epochs"),
            sa.func.sum(epochs.c.seconds).label("seconds"),
            sa.func.max(epochs.c.val_accuracy).label("best"),
            sa.func.max(epochs.c.memory_mb).label("memory_mb"),
        )
        .where(chosen.of(epochs.c.trial_id))
        .group_by(epochs.c.trial_id)
        .subquery()
    )
    is_best = sa.and_(epochs.c.trial_id == sums.c.trial_id, epochs.c.val_accuracy == sums.c.best)
    first_best = (
        sa.select(sa.func.min(epochs.c.epoch)).where(is_best).correlate(sums).scalar_subquery()
    )
    rows = connection.execute(sa.select(sums, first_best))
    return {
        trial_id: Curve(n_epochs, seconds, best_epoch, best, memory_mb)
        for trial_id, n_epochs, seconds, best, memory_mb, best_epoch in rows
    }


@patient
def list_kept(store: Store, study_id: int, *, n_best: int, n_pruned: int) -> set[int]:
    """Gives the numbers of the open trials, the best complete ones and the last pruned ones.

    The best are those that a ranking has first: the smaller of equals.
    """
    of_study = leases.c.study_id == study_id
    trials, values = optunas.trials, optunas.values
    open_ones = sa.select(leases.c.trial_number).where(of_study, leases.c.kind.is_(None))
    sizes = optunas.user_attributes
    best = (
        sa.select(trials.c.number)
        .join(values, values.c.trial_id == trials.c.trial_id)
        .outerjoin(
            sizes, sa.and_(sizes.c.trial_id == trials.c.trial_id, sizes.c.key == "parameters")
        )
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.COMPLETE)
        .order_by(values.c.value.desc(), sa.cast(sizes.c.value_json, sa.Double), trials.c.number)
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
