"""Samplers: what proposes the next config, seeded for each trial by its number."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.strategy.seeds import SAMPLE, derive_seed
from search.strategy.tpe import GroupTPE

N_STARTUP_TRIALS = 10


def _make_tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GroupTPE(seed=seed, n_startup_trials=N_STARTUP_TRIALS)


SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": _make_tpe,
    "random": lambda seed: RandomSampler(seed=seed),
}


def make_sampler(
    name: str, study_seed: int, *, fixed: Mapping[str, Any] | None = None
) -> BaseSampler:
    """Make a sampler by name: `tpe` or `random`; `fixed` parameters are given, not sampled."""
    sampler = SeededSampler(SAMPLERS[name], study_seed)
    if not fixed:
        return sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler(dict(fixed), sampler)


class SeededSampler(BaseSampler):
    """A sampler made anew for each trial from (study seed, trial number).

    Two workers with one seeded sampler each would draw the same trials, and a worker that
    resumes would draw the first ones again.
    """

    def __init__(self, make: Callable[[int], BaseSampler], study_seed: int) -> None:
        self._make = make
        self._study_seed = study_seed
        self._sampler = make(study_seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the sampler of this trial."""
        self._sampler = self._make(derive_seed(self._study_seed, trial.number, SAMPLE))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample parameters together."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Sample a parameter by itself."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler see how a trial ended."""
        self._sampler.after_trial(study, trial, state, values)
