"""Reading all trials of a study at once, as a table of results needs them.

Those that have ended never change again: who reads a study over and over keeps a `TrialTable`,
which asks for the others alone.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from optuna.trial import TrialState

from storage import trial_queries as queries
from storage.optuna_tables import trials
from storage.outcomes import COUNTED, Outcome
from storage.store import Store
from storage.trial_queries import Curve


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
        return self.kind in COUNTED if self.outcome is None else self.outcome.counts


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
        """Gives all trials as they are now, in the order of their numbers."""
        fresh = self.store.patience.call(self._read_fresh)
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
            chosen = queries.Chosen(self.study_id, [row.trial_id for row in rows])
            values = queries.load_values(connection, chosen)
            params = queries.load_params(connection, chosen, self.params)
            attributes = queries.load_attributes(connection, chosen, self.attributes)
            infeasible = queries.find_infeasible(connection, chosen)
            outcomes, curves = {}, {}
            if not self.store.is_plain:
                outcomes = queries.load_outcomes(connection, chosen)
                curves = queries.load_curves(connection, chosen)
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
    """Gives all trials of a study in the order of their numbers."""
    return TrialTable(store, study_id).read()
