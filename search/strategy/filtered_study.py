"""An Optuna study as if it had only some of its trials."""

from collections.abc import Callable, Container
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from storage.optuna_internals import storage_of, with_storage


class FilteredStorage:
    """An Optuna storage as if its studies had some of their trials only.

    Only the list of trials differs. It is the storage that is filtered, since Hyperband makes
    studies of its own over it.
    """

    def __init__(self, storage: BaseStorage, predicate: Callable[[FrozenTrial], bool]) -> None:
        self._storage = storage
        self._predicate = predicate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials that are kept."""
        trials = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return list(filter(self._predicate, trials))


def filter_trials(study: optuna.Study, predicate: Callable[[FrozenTrial], bool]) -> optuna.Study:
    """Return the study as if it had those trials only."""
    return with_storage(study, FilteredStorage(storage_of(study), predicate))
