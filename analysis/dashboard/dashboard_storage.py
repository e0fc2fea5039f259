"""The storage for optuna-dashboard, which reads from the cache, and writes if allowed."""

from collections.abc import Callable, Container, Sequence
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from analysis.dashboard.study_cache import StudyCache, StudySnapshot
from storage.optuna_internals import FrozenStudy, study_id_of


class ReadOnlyError(RuntimeError):
    """A write to the store of a read-only dashboard."""


class DashboardStorage(BaseStorage):
    """An Optuna storage for many concurrent readers.

    Its trials are those that `StudyCache` holds, not copies, and must not be changed. `max_trials`
    bounds how many trials of a study are returned: the best and an even sample of the others; None
    returns all. All methods of the base class that are not defined here write.
    """

    def __init__(
        self, studies: StudyCache, *, allows_edit: bool, max_trials: int | None = None
    ) -> None:
        self._studies = studies
        self._allows_edit = allows_edit
        self._max_trials = max_trials

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies, by id."""
        return self._studies.all()

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        for study in self._studies.all():
            if study.study_name == study_name:
                return study_id_of(study)
        raise KeyError(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._snapshot(study_id).study.study_name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of a study."""
        return list(self._snapshot(study_id).study.directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the user attributes of a study."""
        return self._snapshot(study_id).study.user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study, Optuna's and the dashboard's."""
        return self._snapshot(study_id).study.system_attrs

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study by number; never copies."""
        snapshot = self._snapshot(study_id)
        trials = [
            it.frozen for it in snapshot.trials if states is None or it.frozen.state in states
        ]
        if self._max_trials is None or len(trials) <= self._max_trials:
            return trials
        kept = {place * len(trials) // self._max_trials for place in range(self._max_trials)}
        best = {it.row.number for it in snapshot.best}
        return [it for place, it in enumerate(trials) if place in kept or it.number in best]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best feasible trial."""
        best = self._snapshot(study_id).best
        if not best:
            raise ValueError("No trial is complete and feasible yet.")
        return best[0].frozen

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self._studies.store.optuna_storage.get_trial(trial_id)

    def _snapshot(self, study_id: int) -> StudySnapshot:
        cached_study = self._studies.find(study_id)
        if cached_study is None:
            raise KeyError(f"There is no study with the id {study_id}.")
        return cached_study.snapshot()

    def _write(self, method: str, *arguments: Any, **options: Any) -> Any:
        if not self._allows_edit:
            raise ReadOnlyError(f"This dashboard is read-only; {method} would change the store.")
        try:
            return getattr(self._studies.store.optuna_storage, method)(*arguments, **options)
        finally:
            self._studies.invalidate()

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a plain Optuna study."""
        return int(self._write("create_new_study", directions, study_name))


def _writing_method(name: str) -> Callable[..., Any]:
    def write(storage: DashboardStorage, *arguments: Any, **options: Any) -> Any:
        return storage._write(name, *arguments, **options)

    write.__name__ = name
    return write


for _name in BaseStorage.__abstractmethods__ - vars(DashboardStorage).keys():
    setattr(DashboardStorage, _name, _writing_method(_name))
DashboardStorage.__abstractmethods__ = frozenset()
