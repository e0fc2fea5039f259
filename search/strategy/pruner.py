"""Pruning: the pruners that a study can name, and the default one, `auto`.

A worker reports the running best validation accuracy after each epoch, counted from 1, in a
study that maximizes. Figures are from `tests/benchmarks/replay_pruners.py`; the comparisons with
other pruners are in `docs/decisions`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna import Study
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import FrozenTrial, TrialState

from search.errors import SettingsError
from search.strategy.family_quota import MAX_EPOCHS, counts_toward_quota, family_of
from search.strategy.filtered_study import filter_trials

WARM_UP_EPOCHS = 4  # Before that, curves cross too often to be compared.
PLATEAU_EPOCHS = 7  # By then all recorded networks that learned late had left their plateau.
LONG_EPOCHS = 20  # The length of the recorded trainings, for which the shares were chosen.
PLATEAU_GAIN = 0.05  # Accuracy over the first epoch's; it shows that a network learns.


@dataclass(frozen=True, slots=True)
class Schedule:
    """The epochs at which a trial of some length is compared, and the share that continues."""

    max_epochs: int  # Of a full training; pruning after the last one would save nothing.
    warm_up: int  # The first epoch of a comparison.
    plateau_end: int  # The same for a trial that has not improved yet.
    first_share: float  # Share of the trials that continues at the end of the warm-up, in [0, 1].
    last_share: float  # Share that would continue at the last epoch, in [0, 1].

    @classmethod
    def of(cls, max_epochs: int) -> "Schedule":
        """Return the schedule of a training of up to `max_epochs` epochs."""
        # Pruning saves less of a short training, whose curves still cross when it ends: keep more.
        # At 12 epochs and 16 trials the best one was pruned in 6 % of the rounds instead of 16 %.
        extra_share = max(0, LONG_EPOCHS - max_epochs) / 40
        return cls(
            max_epochs,
            warm_up_epochs(max_epochs),
            plateau_epochs(max_epochs),
            first_share=0.4 + extra_share,
            last_share=0.1 + extra_share,
        )

    def applies_to(self, trial: FrozenTrial, epoch: int) -> bool:
        """Whether a trial is compared with others at this epoch."""
        if epoch < self.warm_up or epoch >= self.max_epochs:
            return False
        return epoch >= self.plateau_end or _gain(trial) >= PLATEAU_GAIN

    def share(self, epoch: int) -> float:
        """Return the share of the trials that may continue after an epoch."""
        progress = (epoch - self.warm_up) / (self.max_epochs - self.warm_up)
        return self.first_share + progress * (self.last_share - self.first_share)


@dataclass(frozen=True, slots=True)
class FallingSharePruner(BasePruner):
    """Prunes a trial that is not among the best share of all trials at the same epoch.

    The share falls linearly from the end of the warm-up to the trial's last epoch. Trials that
    ended earlier count with their best value, so that the threshold does not rise only because
    good trials are left, as it does if completed trials alone are compared. A trial still on its
    first plateau is compared later: the third best of the recorded networks stayed at .37 for six
    epochs, then rose to .87.
    """

    max_epochs: int  # Epochs of a trial without an attribute for them.
    n_peers: int = 6  # Other trials needed for a comparison, at least 1.

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial, which has just reported an epoch."""
        epoch = trial.last_step
        schedule = Schedule.of(trial.user_attrs.get(MAX_EPOCHS, self.max_epochs))
        if epoch is None or not schedule.applies_to(trial, epoch):
            return False
        trials = study.get_trials(deepcopy=False)
        reached = [best_until(t, epoch) for t in trials if t.number != trial.number]
        peers = [accuracy for accuracy in reached if accuracy is not None]
        if len(peers) < self.n_peers:
            return False
        return _best(trial) < float(np.quantile(peers, 1 - schedule.share(epoch)))


@dataclass(frozen=True, slots=True)
class FamilyPruner(BasePruner):
    """Compares a trial with its family until that has its minimum, then with equally long trials.

    An epoch on cached features gains more than one from scratch: compared with all trials, most
    networks that are trained from scratch would be pruned at once, and the best with them.
    """

    name: str  # One of `PRUNERS`; a new pruner is made for each trial, with the trial's length.
    max_epochs: int  # Epochs of a trial without an attribute for them.
    family_trials: int  # The minimum number of finished trials that count for the family.

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial, which has just reported an epoch."""
        family, max_epochs = family_of(trial), trial.user_attrs.get(MAX_EPOCHS)
        n_ended = sum(
            counts_toward_quota(other) and other.state.is_finished() and family_of(other) == family
            for other in study.get_trials(deepcopy=False)
        )
        if n_ended < self.family_trials:
            view = filter_trials(study, lambda other: family_of(other) == family)
        else:
            view = filter_trials(study, lambda t: t.user_attrs.get(MAX_EPOCHS) == max_epochs)
        return _make(self.name, max_epochs or self.max_epochs).prune(view, trial)


@dataclass(frozen=True, slots=True)
class AllTrialsHyperband(BasePruner):
    """Optuna's Hyperband, with a sampler that sees all trials.

    Optuna looks for a `HyperbandPruner` in the study, and shows its samplers a single bracket: too
    few trials to learn from, and in a study object that `tpe` cannot copy.
    """

    max_epochs: int

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial, which has just reported an epoch."""
        pruner = HyperbandPruner(min_resource=1, max_resource=self.max_epochs, reduction_factor=2)
        return pruner.prune(study, trial)


def best_until(trial: FrozenTrial, epoch: int) -> float | None:
    """Return the best accuracy of a trial up to an epoch; None if it cannot be compared there."""
    has_ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    is_at_epoch = not trial.state.is_finished() and epoch in trial.intermediate_values
    if not (has_ended or is_at_epoch):
        return None
    values = [v for step, v in trial.intermediate_values.items() if step <= epoch]
    return max((v for v in values if not math.isnan(v)), default=None)


def _best(trial: FrozenTrial) -> float:
    return max(trial.intermediate_values.values())


def _gain(trial: FrozenTrial) -> float:
    values = trial.intermediate_values
    return _best(trial) - values[min(values)]


def warm_up_epochs(max_epochs: int) -> int:
    """Return the first epoch compared: the fourth or a fifth, at most a third if short."""
    return max(max_epochs // 5, min(WARM_UP_EPOCHS, -(-max_epochs // 3)), 1)


def plateau_epochs(max_epochs: int) -> int:
    """Return the longest plateau: 7 epochs or 35 %, but within 60 % of a short training."""
    return max(max_epochs * 7 // 20, min(PLATEAU_EPOCHS, -(-max_epochs * 3 // 5)))


def _make_median(max_epochs: int) -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=warm_up_epochs(max_epochs))


def _make_percentile(max_epochs: int) -> BasePruner:
    warm_up = plateau_epochs(max_epochs)  # Optuna's pruners have no rule for plateaus.
    return PercentilePruner(60.0, n_startup_trials=4, n_warmup_steps=warm_up)


def _make_halving(max_epochs: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=max(1, max_epochs // 10), reduction_factor=2)


def _make_none(_max_epochs: int) -> BasePruner:
    return NopPruner()


# Optuna's PatientPruner is left out: a running best never falls, so it would never prune.
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "auto": FallingSharePruner,
    "median": _make_median,
    "percentile": _make_percentile,
    "hyperband": AllTrialsHyperband,
    "halving": _make_halving,
    "none": _make_none,
}


def make_pruner(
    name: str, max_epochs: int, *, n_phases: int = 1, family_trials: int = 0
) -> BasePruner:
    """Make an Optuna pruner for trials of up to `n_phases` phases of `max_epochs` epochs.

    Trials of one epoch are never pruned. The first `family_trials` of a family are compared among
    themselves only, later ones with those of equal length; 0 compares all with all.

    Raises:
        SettingsError: If no pruner has that name.
    """
    if name not in PRUNERS:
        raise SettingsError(
            f"Expected one of the pruners {', '.join(PRUNERS)}. Received: {name!r}."
        )
    longest = max_epochs * n_phases
    if family_trials and name != "none":
        return FamilyPruner(name, longest, family_trials)
    return _make(name, longest)


def _make(name: str, max_epochs: int) -> BasePruner:
    return PRUNERS[name if max_epochs > 1 else "none"](max_epochs)
