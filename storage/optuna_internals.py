"""Every private name of Optuna that convsearch uses, and the versions they were tested with.

- `_study_id` of `Study` and `FrozenStudy`, `_trial_id` of `Trial` and `FrozenTrial`: our tables
  refer to Optuna's by these ids; Optuna's public names are names and numbers.
- `Study._storage`: a copy of a study with some of its trials, or pending writes, has another one.
- `Trial._cached_frozen_trial`: the reports of a running trial, without a query.
- `optuna.study._frozen.FrozenStudy`: the result of `BaseStorage.get_all_studies`.
- `RDBStorage._get_trials`, and `CACHE_METHODS`, which Optuna's cached storage calls: trials are
  read by plain SQL, and all methods are retried while the database does not answer.
- `TPESampler._sample`, `_build_parzen_estimator`, `_get_internal_repr`, `_get_params`,
  `_compute_acquisition_func`, `_compare`, `_rng` and `_n_ei_candidates`,
  `optuna.samplers._tpe.sampler._split_trials` and `default_gamma`: the earlier trials are split
  and read once for all groups of parameters, not once for each.
- The keys of system attributes `fixed_params`, `constraints` and `constraints:NAME`: queued
  configs and constraints are read and written by plain SQL.

This module can be imported with any Optuna, so that `check_optuna_version` can explain an error.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from storage.errors import StoreVersionError

try:
    from optuna.study._frozen import FrozenStudy as FrozenStudy  # noqa: PLC0414 - exported
except ImportError:  # Another Optuna, which `check_optuna_version` refuses.
    FrozenStudy = Any  # type: ignore[misc, assignment]

TESTED_SERIES = "5.0"
TESTED_RANGE = "optuna>=5.0,<5.1"

LIST_TRIALS_METHOD = "_get_trials"
"""The method of `RDBStorage` through which Optuna's cached storage reads trials."""
CACHE_METHODS = (
    "_create_new_trial",
    "_set_trial_param",
    "_get_best_trial_id",
    "_get_stale_trial_ids",
)
"""The other private methods of `RDBStorage` that Optuna calls from elsewhere."""

FIXED_PARAMS = "fixed_params"
"""The system attribute of an enqueued trial's parameters."""
CONSTRAINTS = "constraints"
"""The system attribute of all constraints of a trial, as Optuna 4 wrote them."""
CONSTRAINT_PREFIX = "constraints:"
"""The prefix of the system attribute of each constraint since Optuna 5."""


def check_optuna_version() -> None:
    """Raise a `StoreVersionError` if the private names of the installed Optuna were not tested."""
    if optuna.__version__.split(".")[:2] != TESTED_SERIES.split("."):
        raise StoreVersionError(
            f"Expected Optuna {TESTED_SERIES}, the version that convsearch was tested with. "
            f"Received: Optuna {optuna.__version__}. Install the tested range: "
            f"pip install '{TESTED_RANGE}'."
        )


def study_id_of(study: Study | FrozenStudy) -> int:
    """Return the id of a study in the database."""
    return study._study_id


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study."""
    return study._storage


def with_storage(study: Study, storage: Any) -> Study:
    """Return a copy of a study that reads and writes another storage."""
    view = copy.copy(study)
    view._storage = storage
    return view


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """Return the id of a trial in the database."""
    return trial._trial_id


def reported_steps(trial: Trial) -> set[int]:
    """Return the steps that a running trial has reported, without a query."""
    return set(trial._cached_frozen_trial.intermediate_values)


def make_frozen_study(
    *,
    study_id: int,
    name: str,
    directions: list[StudyDirection],
    user_attrs: dict[str, Any],
    system_attrs: dict[str, Any],
) -> FrozenStudy:
    """Make a study as `BaseStorage.get_all_studies` returns it."""
    return FrozenStudy(
        study_name=name,
        direction=None,
        directions=directions,
        user_attrs=user_attrs,
        system_attrs=system_attrs,
        study_id=study_id,
    )


def fixed_params_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return the parameters that a trial was enqueued with, empty for other trials."""
    params: Mapping[str, Any] = trial.system_attrs.get(FIXED_PARAMS, {})
    return params


Split = tuple[list[FrozenTrial], list[FrozenTrial]]
"""The good trials and the other ones."""


class _ParameterColumns:
    """The values of each parameter in the trials that have it, read in one pass over trials."""

    def __init__(self, trials: list[FrozenTrial], params: Iterable[Mapping[str, Any]]) -> None:
        self.trials = trials
        self._rows: dict[str, list[int]] = {}
        self._values: dict[str, list[Any]] = {}
        for row, named in enumerate(params):
            for name, value in named.items():
                if name not in self._rows:
                    self._rows[name], self._values[name] = [], []
                self._rows[name].append(row)
                self._values[name].append(value)

    def select(self, names: Iterable[str]) -> dict[str, list[Any]] | None:
        """Return the columns of parameters, None if some trials have only some of them."""
        first, *others = names
        rows = self._rows.get(first, [])
        if any(self._rows.get(name, []) != rows for name in others):
            return None
        return {name: self._values.get(name, []) for name in (first, *others)}


class SplittingTPESampler(TPESampler):
    """TPE with a constant liar for one trial; subclasses may split the earlier trials otherwise.

    An override of `split_trials` should return the same lists each time: they are read once.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._columns: dict[int, _ParameterColumns] = {}
        """The columns of each list of trials, by its `id`."""

    def split_trials(self, study: Study, trial: FrozenTrial) -> Split:
        """Split the trials other than this one into the good ones and the rest."""
        from optuna.samplers._tpe.sampler import _split_trials, default_gamma

        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        others = [
            other
            for other in study.get_trials(deepcopy=False, states=states)
            if other.number != trial.number
        ]
        n_ended = sum(other.state != TrialState.RUNNING for other in others)
        return _split_trials(study, others, default_gamma(n_ended))

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample a group of parameters as `TPESampler` does, given the split."""
        below, above = (
            self._build_parzen_estimator(study, search_space, part, handle_below=is_below)
            for part, is_below in zip(self.split_trials(study, trial), (True, False), strict=True)
        )
        samples = below.sample(self._rng.rng, self._n_ei_candidates)
        gains = self._compute_acquisition_func(samples, below, above)
        best = self._compare(samples, gains)
        return {
            name: distribution.to_external_repr(float(best[name]))
            for name, distribution in search_space.items()
        }

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        """Return the numbers of each parameter in the trials that have all of these parameters."""
        columns = self._columns.get(id(trials))
        if columns is None:
            params = (self._get_params(trial, study) for trial in trials)
            columns = self._columns[id(trials)] = _ParameterColumns(trials, params)
        found = columns.select(search_space)
        if found is None:
            return super()._get_internal_repr(trials, search_space, study)
        return {
            name: np.asarray([distribution.to_internal_repr(it) for it in found[name]])
            for name, distribution in search_space.items()
        }
