"""Watching a study: its current trials in Optuna and in our tables, read together."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from storage.database.store import Store
from storage.inspection.trial_table import (
    NO_CURVE,
    Curve,
    ReadTrials,
    TrialRow,
    load_outcomes_and_curves,
)
from storage.optuna_internals import trial_id_of
from storage.optuna_schema.constraints import is_feasible
from storage.optuna_schema.tables import to_local, trials
from storage.optuna_schema.trial_reader import TrialSelection, load_frozen_trials
from storage.trial_outcomes import Outcome


@dataclass(frozen=True, slots=True)
class WatchedTrial:
    """A trial as Optuna's object, and as our row."""

    frozen: FrozenTrial
    row: TrialRow


@dataclass(slots=True)
class StudyWatch:
    """A study's trials; `version` rises whenever a reading found a change.

    Finished trials never change again, so each is read once. Not safe for several threads.
    """

    store: Store
    study_id: int
    version: int = 0
    _trials: ReadTrials[WatchedTrial] = field(default_factory=ReadTrials)
    _all: tuple[WatchedTrial, ...] = ()

    def read(self) -> tuple[WatchedTrial, ...]:
        """Return all trials as they are now, in the order of their numbers."""
        fresh = self.store.retry.call(self._read_fresh)
        before = repr(self._trials.open)  # NaN is not equal to itself, but its text is.
        self._trials.update(fresh, lambda trial: trial.frozen.state.is_finished())
        if repr(self._trials.open) != before or len(fresh) > len(self._trials.open):
            self._all = tuple(self._trials.sorted(lambda trial: trial.row.number))
            self.version += 1
        return self._all

    def _read_fresh(self) -> dict[int, WatchedTrial]:
        with self.store.read() as connection:
            if not self._is_still_there(connection):
                self._trials, self._all = ReadTrials(), ()
                self.version += 1
            condition = self._trials.fresh_condition(self.study_id)
            found = {trial_id_of(it): it for it in load_frozen_trials(connection, condition)}
            selection = TrialSelection([self.study_id], list(found))
            outcomes, curves = load_outcomes_and_curves(self.store, connection, selection)
        return {
            trial_id: WatchedTrial(
                it, _trial_row(it, outcomes.get(trial_id), curves.get(trial_id, NO_CURVE))
            )
            for trial_id, it in found.items()
        }

    def _is_still_there(self, connection: sa.Connection) -> bool:
        """Whether the finished trial that was read last still belongs to this study.

        SQLite reuses ids of deleted rows: a study that was created again may have all of them.
        """
        if not self._trials.ended:
            return True
        trial_id, last = next(reversed(self._trials.ended.items()))
        found = connection.execute(
            sa.select(trials.c.study_id, trials.c.datetime_complete).where(
                trials.c.trial_id == trial_id
            )
        ).one_or_none()
        expected = (self.study_id, last.frozen.datetime_complete)
        return found is not None and (found[0], to_local(found[1])) == expected


def _trial_row(trial: FrozenTrial, outcome: Outcome | None, curve: Curve) -> TrialRow:
    return TrialRow(
        trial_id=trial_id_of(trial),
        number=trial.number,
        state=trial.state.name,
        value=trial.values[0] if trial.values and len(trial.values) == 1 else None,
        params=trial.params,
        attributes=trial.user_attrs,
        outcome=outcome,
        curve=curve,
        started=trial.datetime_start,
        finished=trial.datetime_complete,
        is_feasible=is_feasible(trial.system_attrs),
    )
