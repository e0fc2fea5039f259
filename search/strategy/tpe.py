"""Optuna's TPE in groups, which looks through the earlier trials once a proposal.

Optuna draws the parameters of each group by themselves, here of some thirty: for each it reads all
trials again, and parts them into the good and the others, to the same result. At 5,000 trials that
is most of the time of a proposal. What is proposed is the same.
"""

from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search.strategy.filtered_study import filter_trials
from storage.optuna_internals import Split, SplittingTPESampler


class GroupTPE(SplittingTPESampler):
    """TPE with groups and a constant liar, for one trial: make another one for the next."""

    def __init__(self, **options: Any) -> None:
        super().__init__(multivariate=True, group=True, constant_liar=True, **options)
        self._split: Split | None = None

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

    def split_trials(self, study: Study, trial: FrozenTrial) -> Split:
        """Split the other trials as Optuna does, but once for all groups."""
        if self._split is None:
            self._split = super().split_trials(study, trial)
        return self._split


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
