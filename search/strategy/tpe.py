"""Optuna's TPE with groups, which splits and reads the earlier trials once for each proposal.

Optuna samples each of some thirty groups of parameters separately: for each it reads all trials
and splits them into good and other ones, with the same result. At 5,000 trials that takes most of
the time of a proposal. The proposals are identical, except that Optuna also makes groups of
parameters that only pruned trials have.
"""

from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.strategy.filtered_study import filter_trials
from storage.optuna_internals import Split, SplittingTPESampler


class GroupTPE(SplittingTPESampler):
    """TPE with groups and a constant liar, for a single trial."""

    def __init__(self, **options: Any) -> None:
        super().__init__(multivariate=True, group=True, constant_liar=True, **options)
        self._split: Split | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled in groups.

        The groups depend on which parameters occur together, so one trial of each set suffices.
        """
        return super().infer_relative_search_space(
            filter_trials(study, _first_of_each_space()), trial
        )

    def split_trials(self, study: Study, trial: FrozenTrial) -> Split:
        """Split the other trials as Optuna does, but once for all groups."""
        if self._split is None:
            self._split = super().split_trials(study, trial)
        return self._split


def _first_of_each_space() -> Callable[[FrozenTrial], bool]:
    """Return a predicate for complete trials whose set of parameters has not occurred before."""
    seen: set[frozenset[str]] = set()

    def is_first(trial: FrozenTrial) -> bool:
        names = frozenset(trial.distributions)
        if trial.state != TrialState.COMPLETE or names in seen:
            return False
        seen.add(names)
        return True

    return is_first
