"""When a trial is stopped early: the pruners a study can name, and the default one.

A worker reports the running best validation accuracy after each epoch, counted from 1, in a
study that maximizes. Figures here are from `tests/benchmarks/replay_pruners.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

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

__all__ = ["DEFAULT_PRUNER", "PRUNERS", "FallingSharePruner", "FamilyPruner", "make_pruner"]

DEFAULT_PRUNER: Final = "auto"
WARM_UP_EPOCHS: Final = 4  # before that, curves cross too often to be compared
PLATEAU_EPOCHS: Final = 7  # the recorded late bloomers had left their plateau by then
LONG_EPOCHS: Final = 20  # the length of the recorded trainings, for which the shares were chosen
PLATEAU_GAIN: Final = 0.05  # accuracy over the first epoch's that shows a network learns


@dataclass(frozen=True, slots=True)
class Schedule:
    """When and how strictly a training of some length is judged.

    Attributes:
        max_epochs: Epochs of a full training. Its last epoch is never pruned: nothing is saved.
        warm_up: First epoch that is judged.
        plateau_end: First epoch that is judged for a trial that has not risen yet.
        first_share: Share of the trials that goes on at the warm-up's end, in [0, 1].
        last_share: Share that would go on at the last epoch, in [0, 1].
    """

    max_epochs: int
    warm_up: int
    plateau_end: int
    first_share: float
    last_share: float

    @classmethod
    def of(cls, max_epochs: int) -> "Schedule":
        """The schedule of a training of up to `max_epochs` epochs."""
        # A short training has less to save, and its curves still cross when it ends: keep more.
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
        """The share of the trials that may go on after an epoch."""
        progress = (epoch - self.warm_up) / (self.max_epochs - self.warm_up)
        return self.first_share + progress * (self.last_share - self.first_share)


@dataclass(frozen=True, slots=True)
class FallingSharePruner(BasePruner):
    """Keeps a trial while it is among the best of all trials at the same epoch.

    The share that may go on falls evenly, from the end of the warm-up to the last epoch the
    trial may have. Trials that ended earlier count with the best they reached, so that the bar
    does not rise merely because only good trials are left, as it does where completed trials alone
    are compared. A trial still on its first plateau is judged later: the third best of the
    recorded networks stood at .37 for six epochs, then rose to .87.

    Replayed on 52 recorded curves (300 rounds; cost is the share of the epochs of no pruning):

    | policy, 30 trials of 20 epochs | cost | regret | best one pruned |
    |---|---|---|---|
    | this one | 0.54 | .001 | .11 |
    | percentile (60, 4 trials, 7 epochs) | 0.61 | .002 | .15 |
    | median (5 trials, 4 epochs) | 0.48 | .006 | .45 |
    | Hyperband (factor 2) | 0.49 | .006 | .42 |

    Attributes:
        max_epochs: Epochs of a trial that does not say how many it may have.
        n_peers: Other trials needed for a judgement, at least 1.
    """

    max_epochs: int
    n_peers: int = 6

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial, which has just reported an epoch, should stop."""
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
    """Compares a trial with its own family until that has its minimum, then with its like.

    Its like are the trials that may train for as many epochs. An epoch on cached features brings
    more than one from scratch: compared with all, most networks that learn from scratch
    would stop at the first epoch that is judged, and the best with them. Replayed on 15 recorded
    curves and 15 quick ones a round (100 rounds, `--quick 15`):

    | auto, compared with | cost | regret | best one pruned |
    |---|---|---|---|
    | all trials | 0.61 | .009 | .60 |
    | its family until that has 3, then all | 0.63 | .008 | .55 |
    | its family until that has 6, then all | 0.71 | .005 | .37 |
    | its family, then its like | 0.74 | .001 | .07 |

    Optuna looks for a Hyperband pruner in the study, to let its samplers see one bracket only;
    under this one they see all trials.

    Attributes:
        name: The pruner of `PRUNERS` that decides, on the trials that are compared. It is made
            anew for each trial, whose own length it goes by.
        max_epochs: Epochs of a trial that does not say how many it may have.
        family_trials: The minimum: trials that ended and count.
    """

    name: str
    max_epochs: int
    family_trials: int

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial, which has just reported an epoch, should stop."""
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


def best_until(trial: FrozenTrial, epoch: int) -> float | None:
    """The best accuracy a trial had by an epoch; None if it cannot be compared there."""
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
    """First epoch judged: the fourth or after a fifth, but within a third of a short training."""
    return max(max_epochs // 5, min(WARM_UP_EPOCHS, -(-max_epochs // 3)), 1)


def plateau_epochs(max_epochs: int) -> int:
    """How long a plateau is borne: 7 epochs or 35 %, but within 60 % of a short training."""
    return max(max_epochs * 7 // 20, min(PLATEAU_EPOCHS, -(-max_epochs * 3 // 5)))


def _make_median(max_epochs: int) -> BasePruner:
    return MedianPruner(n_startup_trials=5, n_warmup_steps=warm_up_epochs(max_epochs))


def _make_percentile(max_epochs: int) -> BasePruner:
    warm_up = plateau_epochs(max_epochs)  # Optuna's own have no rule for plateaus: wait for all
    return PercentilePruner(60.0, n_startup_trials=4, n_warmup_steps=warm_up)


def _make_hyperband(max_epochs: int) -> BasePruner:
    return HyperbandPruner(min_resource=1, max_resource=max_epochs, reduction_factor=2)


def _make_halving(max_epochs: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=max(1, max_epochs // 10), reduction_factor=2)


def _make_none(_max_epochs: int) -> BasePruner:
    return NopPruner()


# Optuna's PatientPruner is left out: a running best never falls, so it would never prune.
PRUNERS: Final[dict[str, Callable[[int], BasePruner]]] = {
    "auto": FallingSharePruner,
    "median": _make_median,
    "percentile": _make_percentile,
    "hyperband": _make_hyperband,
    "halving": _make_halving,
    "none": _make_none,
}


def make_pruner(
    name: str, max_epochs: int, *, n_phases: int = 1, family_trials: int = 0
) -> BasePruner:
    """An Optuna pruner for trials of up to `max_epochs` epochs a phase.

    Args:
        name: One of `PRUNERS`; "auto" had the least regret for its cost in the replay.
        max_epochs: Epochs of a phase, at least 1; of one epoch nothing is pruned.
        n_phases: The most phases of any family; of several, each trial has its own maximum.
        family_trials: Until a family has as many trials, they are compared among themselves, and
            then with those of equal length; 0 compares all with all.

    Raises:
        SettingsError: If no pruner has that name.
    """
    if name not in PRUNERS:
        raise SettingsError(f"Expected a pruner out of {', '.join(PRUNERS)}. Received: {name!r}.")
    longest = max_epochs * n_phases
    if family_trials and name != "none":
        return FamilyPruner(name, longest, family_trials)
    return _make(name, longest)


def _make(name: str, max_epochs: int) -> BasePruner:
    return PRUNERS[name if max_epochs > 1 else "none"](max_epochs)
