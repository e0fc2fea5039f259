"""Samplers, which propose the next config, seeded for each trial by its number."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

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
    """Make a sampler by name, `tpe` or `random`; `fixed` parameters are not sampled."""
    sampler = SeededSampler(SAMPLERS[name], study_seed)
    if not fixed:
        return sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler(dict(fixed), sampler)


def _delegated(method: str) -> Callable[..., Any]:
    """Return a method that calls the one of the current trial's sampler."""
    return lambda self, *args, **kwargs: getattr(self._sampler, method)(*args, **kwargs)


class SeededSampler(BaseSampler):
    """Makes a new sampler for each trial, seeded by (study seed, trial number).

    With one seeded sampler for each worker, two workers would draw the same configs, and a
    resumed worker would draw its first ones again.
    """

    def __init__(self, make: Callable[[int], BaseSampler], study_seed: int) -> None:
        self._make = make
        self._study_seed = study_seed
        self._sampler = make(study_seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the sampler of this trial."""
        self._sampler = self._make(derive_seed(self._study_seed, trial.number, SAMPLE))
        self._sampler.before_trial(study, trial)

    infer_relative_search_space = _delegated("infer_relative_search_space")
    sample_relative = _delegated("sample_relative")
    sample_independent = _delegated("sample_independent")
    after_trial = _delegated("after_trial")
