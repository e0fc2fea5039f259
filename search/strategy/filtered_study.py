"""A view of an Optuna study with some of its trials only."""

from collections.abc import Callable, Container
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from storage.optuna_internals import storage_of, with_storage


class FilteredStorage:
    """A view of an Optuna storage that lists some of the trials only.

    The storage is filtered, not the study, since Hyperband creates studies of its own over it.
    """

    def __init__(self, storage: BaseStorage, predicate: Callable[[FrozenTrial], bool]) -> None:
        self._storage = storage
        self._predicate = predicate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that match the predicate."""
        trials = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return list(filter(self._predicate, trials))


def filter_trials(study: optuna.Study, predicate: Callable[[FrozenTrial], bool]) -> optuna.Study:
    """Return a view of the study with the trials that match the predicate."""
    return with_storage(study, FilteredStorage(storage_of(study), predicate))
