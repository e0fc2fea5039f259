"""Optuna's TPE in groups, which looks through the earlier trials once a proposal.

Optuna draws the parameters of each group by themselves, here of some thirty: for each it reads all
trials again, and parts them into the good and the others, to the same result. At 5,000 trials that
is most of the time of a proposal. What is proposed is the same.
"""

from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.strategy.filtered_study import filter_trials

STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


class GroupTPE(TPESampler):
    """TPE with groups and a constant liar, for one trial: make another one for the next."""

    def __init__(self, **options: Any) -> None:
        super().__init__(multivariate=True, group=True, constant_liar=True, **options)
        self._below_and_above: tuple[list[FrozenTrial], list[FrozenTrial]] | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled in groups.

        The groups follow from which parameters trials have had together, so one trial of each
        such set tells all.
        """
        return super().infer_relative_search_space(
            filter_trials(study, _first_of_each_space()), trial
        )

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample a group; as Optuna's own, but for the halves, which are kept."""
        if self._below_and_above is None:
            self._below_and_above = self._split(study, trial)
        below, above = (
            self._build_parzen_estimator(study, search_space, part, handle_below=is_below)
            for part, is_below in zip(self._below_and_above, (True, False), strict=True)
        )
        samples = below.sample(self._rng.rng, self._n_ei_candidates)
        gains = self._compute_acquisition_func(samples, below, above)
        best = self._compare(samples, gains)
        return {
            name: distribution.to_external_repr(float(best[name]))
            for name, distribution in search_space.items()
        }

    def _split(
        self, study: Study, trial: FrozenTrial
    ) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Parts the other trials into the good ones and the rest."""
        others = [
            other
            for other in study.get_trials(deepcopy=False, states=STATES)
            if other.number != trial.number
        ]
        n_ended = sum(other.state != TrialState.RUNNING for other in others)
        return _split_trials(study, others, default_gamma(n_ended))


def _first_of_each_space() -> Callable[[FrozenTrial], bool]:
    """Return what tells whether a complete trial has other parameters than those before it."""
    seen: set[frozenset[str]] = set()

    def is_first(trial: FrozenTrial) -> bool:
        names = frozenset(trial.distributions)
        if trial.state != TrialState.COMPLETE or names in seen:
            return False
        seen.add(names)
        return True

    return is_first
