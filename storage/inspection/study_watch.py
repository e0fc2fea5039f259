"""Watching a study: all of its trials as they are now, of which only what changed is read again.

Optuna's trial and our row are made from one reading: whoever shows a study to many people needs
both, as often as they look.
"""

from dataclasses import dataclass, field

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from storage.database.store import Store
from storage.inspection import trial_table as queries
from storage.inspection.trial_table import Curve, TrialRow
from storage.optuna_internals import trial_id_of
from storage.optuna_schema.constraints import is_feasible
from storage.optuna_schema.tables import to_local, trials
from storage.optuna_schema.trial_reader import load_frozen_trials
from storage.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class WatchedTrial:
    """A trial as Optuna has it, and as we do."""

    frozen: FrozenTrial
    row: TrialRow


@dataclass(slots=True)
class StudyWatch:
    """A study's trials; `version` rises whenever a reading found anything new.

    Trials that have ended never change again, so each is read once. Not for several threads at
    once.
    """

    store: Store
    study_id: int
    version: int = 0
    _ended: dict[int, WatchedTrial] = field(default_factory=dict)
    _open: dict[int, WatchedTrial] = field(default_factory=dict)
    _last_id: int = -1
    _all: tuple[WatchedTrial, ...] = ()

    def read(self) -> tuple[WatchedTrial, ...]:
        """Return all trials as they are now, in the order of their numbers."""
        fresh = self.store.retry.call(self._read_fresh)
        before, self._open = self._open, {}
        for trial in fresh:
            trial_id = trial.row.trial_id
            kept = self._ended if trial.frozen.state.is_finished() else self._open
            kept[trial_id] = trial
        self._last_id = max([*self._ended, *self._open], default=-1)
        if repr(self._open) != repr(before) or len(fresh) > len(self._open):  # NaN is not NaN.
            found = [*self._ended.values(), *self._open.values()]
            self._all = tuple(sorted(found, key=lambda trial: trial.row.number))
            self.version += 1
        return self._all

    def _read_fresh(self) -> list[WatchedTrial]:
        conditions: list[sa.ColumnElement[bool]] = [trials.c.study_id == self.study_id]
        with self.store.read() as connection:
            if not self._is_still_there(connection):
                self._ended, self._open, self._last_id, self._all = {}, {}, -1, ()
                self.version += 1
            if self._ended:
                is_new = trials.c.trial_id > self._last_id
                conditions.append(sa.or_(is_new, trials.c.trial_id.in_(list(self._open))))
            found = load_frozen_trials(connection, *conditions)
            selection = queries.TrialSelection(self.study_id, [trial_id_of(it) for it in found])
            outcomes: dict[int, Outcome] = {}
            curves: dict[int, Curve] = {}
            if found and not self.store.is_optuna_only:
                outcomes = queries.load_outcomes(connection, selection)
                curves = queries.load_curves(connection, selection)
        return [
            WatchedTrial(
                it, _trial_row(it, outcomes.get(trial_id_of(it)), curves.get(trial_id_of(it)))
            )
            for it in found
        ]

    def _is_still_there(self, connection: sa.Connection) -> bool:
        """Whether what was read last of trials that ended is of this study.

        SQLite gives ids of deleted rows again: a study that was made anew under its name may have
        all of them.
        """
        if not self._ended:
            return True
        last = next(reversed(self._ended.values())).frozen
        query = sa.select(trials.c.study_id, trials.c.datetime_complete).where(
            trials.c.trial_id == trial_id_of(last)
        )
        found = connection.execute(query).one_or_none()
        return found is not None and (found.study_id, to_local(found.datetime_complete)) == (
            self.study_id,
            last.datetime_complete,
        )


def _trial_row(trial: FrozenTrial, outcome: Outcome | None, curve: Curve | None) -> TrialRow:
    return TrialRow(
        trial_id=trial_id_of(trial),
        number=trial.number,
        state=trial.state.name,
        value=trial.values[0] if trial.values and len(trial.values) == 1 else None,
        params=trial.params,
        attributes=trial.user_attrs,
        outcome=outcome,
        curve=curve or Curve(),
        started=trial.datetime_start,
        finished=trial.datetime_complete,
        is_feasible=is_feasible(trial.system_attrs),
    )
