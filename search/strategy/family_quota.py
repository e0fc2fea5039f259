"""The fair start of families: each gets a minimum of trials before the search picks among them.

Until then a family's trials are also pruned against their own family alone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from storage.optuna_internals import fixed_params_of

MAX_EPOCHS = "max_epochs"
"""The user attribute of a trial that is, or was, worth training: the most epochs it may have."""

START_SHARE = 0.4
"""Of the budget; what is left goes where accuracy is. Over 48 synthetic objectives of five
families (`tests/benchmarks/sampler_comparison.py`) 30 trials then had a regret of .011, and of
.016 where the share was 0.6."""
MIN_TRIALS, MAX_TRIALS = 2, 6
MAX_REFUSED = 20
"""A family with as many proposals that were too large or repeated is no longer waited for."""
MAX_FAILED = 2
"""Nor is one whose last trainings failed: after five running the study itself would end."""


def trials_per_family(n_trials: int, n_families: int) -> int:
    """Return how many trials each family is granted: 2 to 6, fewer where the budget is small."""
    wanted = round(START_SHARE * n_trials / n_families)
    return max(1, min(max(MIN_TRIALS, wanted), MAX_TRIALS, n_trials // n_families))


def family_of(trial: FrozenTrial) -> str | None:
    """Return the family that a trial has drawn; None before it has drawn one."""
    config = trial.user_attrs.get("config")
    if config is not None:
        return str(config["family"])
    family: str | None = trial.params.get("family", fixed_params_of(trial).get("family"))
    return family


def counts_toward_quota(trial: FrozenTrial) -> bool:
    """Whether a trial counts for its family: it was worth training, and has not failed."""
    return MAX_EPOCHS in trial.user_attrs and trial.state != TrialState.FAIL


def next_family(
    trials: Iterable[FrozenTrial], families: Sequence[str], minimum: int
) -> str | None:
    """Return the family that is furthest behind its minimum; None when none is.

    Running trials count for now, and so do those that have not come to their config yet.
    """
    begun, refused, failed = Counter[str](), Counter[str](), Counter[str]()
    for trial in trials:
        family = family_of(trial)
        if family is None:
            continue
        if counts_toward_quota(trial) or trial.state == TrialState.RUNNING:
            begun[family] += 1
            if trial.state.is_finished():
                failed[family] = 0
        elif trial.state.is_finished():
            (failed if MAX_EPOCHS in trial.user_attrs else refused)[family] += 1
    candidates = [f for f in families if refused[f] < MAX_REFUSED and failed[f] < MAX_FAILED]
    behind = [family for family in candidates if begun[family] < minimum]
    return min(behind, key=lambda family: begun[family], default=None)
