"""All trials of a study, as tables of results show them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_internals import CONSTRAINT_PREFIX, CONSTRAINTS
from storage.optuna_schema import tables as optuna_tables
from storage.optuna_schema.constraints import is_feasible
from storage.optuna_schema.tables import system_attributes, trials
from storage.optuna_schema.trial_reader import (
    TrialSelection,
    read_attributes,
    read_lazy_attributes,
    read_params,
    read_values,
)
from storage.tables import epochs, leases
from storage.trial_outcomes import COUNTED_KINDS, Outcome


@dataclass(frozen=True, slots=True)
class Curve:
    """A summary of a learning curve.

    `best_epoch` is the first epoch with the highest validation accuracy, None before there is
    one; `seconds` is the time of all epochs, `memory_mb` the highest memory of the trainer.
    """

    n_epochs: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_accuracy: float | None = None
    memory_mb: float | None = None


NO_CURVE = Curve()


def load_outcomes_and_curves(
    store: Store, connection: Connection, selection: TrialSelection
) -> tuple[dict[int, Outcome], dict[int, Curve]]:
    """Return outcomes and curves of the trials that have one."""
    if store.is_optuna_only or not selection.trial_ids:
        return {}, {}
    return _load_outcomes(connection, selection), _load_curves(connection, selection)


def _load_outcomes(connection: Connection, selection: TrialSelection) -> dict[int, Outcome]:
    rows = connection.execute(
        sa.select(leases.c.trial_id, leases.c.outcome).where(
            selection.condition(leases.c.trial_id), leases.c.outcome.is_not(None)
        )
    )
    return {trial_id: Outcome.from_json(text) for trial_id, text in rows}


def _load_curves(connection: Connection, selection: TrialSelection) -> dict[int, Curve]:
    """Return summaries of curves, computed by the database."""
    sums = (
        sa.select(
            epochs.c.trial_id,
            sa.func.max(epochs.c.epoch).label("n_epochs"),
            sa.func.coalesce(sa.func.sum(epochs.c.seconds), 0.0).label("seconds"),
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

    `state` is Optuna's, in capitals; `value` is the final value; `outcome` is ours, None while the
    trial is open and in a plain Optuna study; `is_feasible` is False if a constraint is violated.
    """

    trial_id: int
    number: int
    state: str
    value: float | None
    params: dict[str, Any]
    attributes: Mapping[str, Any]
    outcome: Outcome | None
    curve: Curve
    started: datetime | None
    finished: datetime | None
    is_feasible: bool = True

    @property
    def kind(self) -> str:
        """How the trial ended, or its state if there is no outcome."""
        return self.state.lower() if self.outcome is None else self.outcome.kind

    @property
    def counts(self) -> bool:
        """Whether the trial counts for the budget."""
        return self.kind in COUNTED_KINDS if self.outcome is None else self.outcome.counts


T = TypeVar("T")


@dataclass(slots=True)
class ReadTrials(Generic[T]):
    """A study's trials by id; finished ones never change, so only open ones are read again."""

    ended: dict[int, T] = field(default_factory=dict)
    open: dict[int, T] = field(default_factory=dict)

    def fresh_condition(self, study_id: int) -> sa.ColumnElement[bool]:
        """Return the condition on trials that are new or may have changed."""
        of_study = trials.c.study_id == study_id
        if not self.ended:
            return of_study
        is_new = trials.c.trial_id > max([*self.ended, *self.open])
        return sa.and_(of_study, sa.or_(is_new, trials.c.trial_id.in_(list(self.open))))

    def update(self, fresh: Mapping[int, T], is_finished: Callable[[T], bool]) -> None:
        """Store what was read of new and changed trials."""
        self.open = {key: trial for key, trial in fresh.items() if not is_finished(trial)}
        self.ended |= {key: trial for key, trial in fresh.items() if key not in self.open}

    def sorted(self, number_of: Callable[[T], int]) -> list[T]:
        """Return all trials in the order of their numbers."""
        return sorted([*self.ended.values(), *self.open.values()], key=number_of)


@dataclass(slots=True)
class TrialTable:
    """A study's trials, with all `params` and `attributes` (None) or those that are named."""

    store: Store
    study_id: int
    params: Collection[str] | None = None
    attributes: Collection[str] | None = None
    _trials: ReadTrials[TrialRow] = field(default_factory=ReadTrials)

    def read(self) -> list[TrialRow]:
        """Return all trials as they are now, in the order of their numbers."""
        fresh = self.store.retry.call(self._read_fresh)
        self._trials.update(fresh, lambda row: TrialState[row.state].is_finished())
        return self._trials.sorted(lambda row: row.number)

    def _read_fresh(self) -> dict[int, TrialRow]:
        query = sa.select(trials).where(self._trials.fresh_condition(self.study_id))
        with self.store.read() as connection:
            rows = connection.execute(query).all()
            # Read after the trials: other rows of an ended one were written before its end.
            selection = TrialSelection([self.study_id], [row.trial_id for row in rows])
            values = read_values(connection, selection)
            params = read_params(connection, selection, self.params)
            attributes = read_lazy_attributes(connection, selection, self.attributes)
            constraints = _read_unmet_constraints(connection, selection)
            outcomes, curves = load_outcomes_and_curves(self.store, connection, selection)
        return {
            trial_id: TrialRow(
                trial_id=trial_id,
                number=number,
                state=state.name,
                value=values[trial_id][0] if trial_id in values else None,
                params=params.get(trial_id, {}),
                attributes=attributes.get(trial_id, {}),
                outcome=outcomes.get(trial_id),
                curve=curves.get(trial_id, NO_CURVE),
                started=started,
                finished=finished,
                is_feasible=is_feasible(constraints.get(trial_id, {})),
            )
            for trial_id, number, _, state, started, finished in rows
        }


def _read_unmet_constraints(
    connection: Connection, selection: TrialSelection
) -> dict[int, dict[str, Any]]:
    """Return the constraints of trials but those with a negative value, which are met."""
    key, value = system_attributes.c.key, system_attributes.c.value_json
    is_constraint = sa.or_(key == CONSTRAINTS, key.startswith(CONSTRAINT_PREFIX))
    is_negative = value.startswith("-")
    return read_attributes(
        connection, selection, system_attributes, is_constraint, sa.not_(is_negative)
    )


def load_trials(store: Store, study_id: int) -> list[TrialRow]:
    """Return all trials of a study in the order of their numbers."""
    return TrialTable(store, study_id).read()


@with_retry
def list_trials_to_keep(store: Store, study_id: int, *, n_best: int, n_pruned: int) -> set[int]:
    """Return the numbers of the open trials, the best complete ones and the last pruned ones.

    Of equally good trials, the one with fewer parameters is better, as in the ranking.
    """
    of_study = leases.c.study_id == study_id
    values, sizes = optuna_tables.values, optuna_tables.user_attributes
    open_ones = sa.select(leases.c.trial_number).where(of_study, leases.c.kind.is_(None))
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
