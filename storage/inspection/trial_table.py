"""Reading all trials of a study at once, as a table of results needs them.

Those that have ended never change again: who reads a study over and over keeps a `TrialTable`,
which asks for the others alone.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_internals import CONSTRAINT_PREFIX, CONSTRAINTS
from storage.optuna_schema import tables as optuna_tables
from storage.optuna_schema.constraints import is_feasible
from storage.optuna_schema.tables import trials
from storage.optuna_schema.trial_reader import read_distribution
from storage.outcomes import COUNTED_KINDS, Outcome
from storage.tables import epochs, leases

MAX_IDS_PER_QUERY = 500
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
class TrialSelection:
    """Some trials of a study, or all of them."""

    study_id: int
    trial_ids: Collection[int]

    def condition(self, trial_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """The condition on a table's column of trial ids."""
        if len(self.trial_ids) <= MAX_IDS_PER_QUERY:
            return trial_id.in_(list(self.trial_ids))
        ids = sa.select(optuna_tables.trials.c.trial_id)
        return trial_id.in_(ids.where(optuna_tables.trials.c.study_id == self.study_id))


def load_values(connection: Connection, selection: TrialSelection) -> dict[int, float]:
    """Return the values of trials that have one."""
    table = optuna_tables.values
    rows = connection.execute(
        sa.select(table.c.trial_id, table.c.value, table.c.value_type).where(
            selection.condition(table.c.trial_id), table.c.objective == 0
        )
    )
    return {trial_id: optuna_tables.from_stored(value, kind) for trial_id, value, kind in rows}


def load_params(
    connection: Connection, selection: TrialSelection, names: Collection[str] | None
) -> dict[int, dict[str, Any]]:
    """Return the parameters of trials by name, in the order in which they were drawn."""
    table = optuna_tables.params
    query = sa.select(
        table.c.trial_id, table.c.param_name, table.c.param_value, table.c.distribution_json
    ).where(selection.condition(table.c.trial_id))
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
    connection: Connection, selection: TrialSelection, names: Collection[str] | None
) -> dict[int, dict[str, Any]]:
    """Return the attributes of trials by name."""
    table = optuna_tables.user_attributes
    query = sa.select(table.c.trial_id, table.c.key, table.c.value_json).where(
        selection.condition(table.c.trial_id)
    )
    if names is not None:
        query = query.where(table.c.key.in_(names))
    found: dict[int, dict[str, Any]] = {}
    for trial_id, key, text in connection.execute(query):
        found.setdefault(trial_id, {})[key] = json.loads(text)
    return found


def find_infeasible(connection: Connection, selection: TrialSelection) -> set[int]:
    """Return the trials that broke a constraint."""
    table = optuna_tables.system_attributes
    query = sa.select(table.c.trial_id, table.c.key, table.c.value_json).where(
        selection.condition(table.c.trial_id),
        sa.or_(table.c.key == CONSTRAINTS, table.c.key.startswith(CONSTRAINT_PREFIX)),
    )
    return {
        trial_id
        for trial_id, key, text in connection.execute(query)
        if not is_feasible({key: json.loads(text)})
    }


def load_outcomes(connection: Connection, selection: TrialSelection) -> dict[int, Outcome]:
    """Return the outcomes of trials that have one."""
    rows = connection.execute(
        sa.select(leases.c.trial_id, leases.c.outcome).where(
            selection.condition(leases.c.trial_id), leases.c.outcome.is_not(None)
        )
    )
    return {trial_id: Outcome.from_json(text) for trial_id, text in rows}


def load_curves(connection: Connection, selection: TrialSelection) -> dict[int, Curve]:
    """Return the curves of trials that have one, summed up by the database."""
    sums = (
        sa.select(
            epochs.c.trial_id,
            sa.func.max(epochs.c.epoch).label("n_epochs"),
            sa.func.sum(epochs.c.seconds).label("seconds"),
            sa.func.max(epochs.c.val_accuracy).label("best"),
            sa.func.max(epochs.c.memory_mb).label("memory_mb"),
        )
        .where(selection.condition(epochs.c.trial_id))
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


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as a table shows it.

    `state` is Optuna's, in capitals. `value` is the final value. `outcome` is ours, None while
    the trial is open, and for a trial of Optuna alone.
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
    is_feasible: bool = True
    """Whether it keeps all its constraints."""

    @property
    def kind(self) -> str:
        """How the trial ended, or its state where that is all that is known."""
        return self.state.lower() if self.outcome is None else self.outcome.kind

    @property
    def counts(self) -> bool:
        """Whether the trial counts for the budget."""
        return self.kind in COUNTED_KINDS if self.outcome is None else self.outcome.counts


@dataclass(slots=True)
class TrialTable:
    """A study's trials. `params` and `attributes` name what is read of them, None all."""

    store: Store
    study_id: int
    params: Collection[str] | None = None
    attributes: Collection[str] | None = None
    _ended: dict[int, TrialRow] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _last_id: int = -1

    def read(self) -> list[TrialRow]:
        """Return all trials as they are now, in the order of their numbers."""
        fresh = self.store.retry.call(self._read_fresh)
        self._open.clear()
        for row in fresh:
            self._last_id = max(self._last_id, row.trial_id)
            if TrialState[row.state].is_finished():
                self._ended[row.trial_id] = row
            else:
                self._open.add(row.trial_id)
        still_open = [row for row in fresh if row.trial_id in self._open]
        return sorted([*self._ended.values(), *still_open], key=lambda row: row.number)

    def _read_fresh(self) -> list[TrialRow]:
        conditions = [trials.c.study_id == self.study_id]
        if self._ended:
            is_new = trials.c.trial_id > self._last_id
            conditions.append(sa.or_(is_new, trials.c.trial_id.in_(list(self._open))))
        with self.store.read() as connection:
            rows = connection.execute(sa.select(trials).where(*conditions)).all()
            # After the trials: what one that has ended then holds, was written before.
            selection = TrialSelection(self.study_id, [row.trial_id for row in rows])
            values = load_values(connection, selection)
            params = load_params(connection, selection, self.params)
            attributes = load_attributes(connection, selection, self.attributes)
            infeasible = find_infeasible(connection, selection)
            outcomes, curves = {}, {}
            if not self.store.is_optuna_only:
                outcomes = load_outcomes(connection, selection)
                curves = load_curves(connection, selection)
        return [
            TrialRow(
                trial_id=row.trial_id,
                number=row.number,
                state=row.state.name,
                value=values.get(row.trial_id),
                params=params.get(row.trial_id, {}),
                attributes=attributes.get(row.trial_id, {}),
                outcome=outcomes.get(row.trial_id),
                curve=curves.get(row.trial_id, Curve()),
                started=row.datetime_start,
                finished=row.datetime_complete,
                is_feasible=row.trial_id not in infeasible,
            )
            for row in rows
        ]


def load_trials(store: Store, study_id: int) -> list[TrialRow]:
    """Return all trials of a study in the order of their numbers."""
    return TrialTable(store, study_id).read()


@with_retry
def list_trials_to_keep(store: Store, study_id: int, *, n_best: int, n_pruned: int) -> set[int]:
    """Return the numbers of the open trials, the best complete ones and the last pruned ones.

    The best are those that a ranking has first: the smaller of equals.
    """
    of_study = leases.c.study_id == study_id
    trials, values = optuna_tables.trials, optuna_tables.values
    open_ones = sa.select(leases.c.trial_number).where(of_study, leases.c.kind.is_(None))
    sizes = optuna_tables.user_attributes
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
