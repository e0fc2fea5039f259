"""The family quota: each family gets a minimum of trials before the sampler chooses among them.

Until then its trials are also pruned against their own family only.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from storage.optuna_internals import fixed_params_of

MAX_EPOCHS = "max_epochs"  # The user attribute of a trained trial: the most epochs it may have.
START_SHARE = 0.4  # Share of the budget for all quotas (`docs/decisions`, one study for all).
MIN_TRIALS, MAX_TRIALS = 2, 6
MAX_REFUSED = 20  # A family with so many rejected or repeated proposals loses its quota.
MAX_FAILED = 2  # So does one with so many failures in a row: after five the study would end.


def trials_per_family(n_trials: int, n_families: int) -> int:
    """Return the quota of each family: 2 to 6 trials, fewer if the budget is small."""
    wanted = round(START_SHARE * n_trials / n_families)
    return max(1, min(max(MIN_TRIALS, wanted), MAX_TRIALS, n_trials // n_families))


def family_of(trial: FrozenTrial) -> str | None:
    """Return the family of a trial; None before it is drawn."""
    config = trial.user_attrs.get("config")
    if config is not None:
        return str(config["family"])
    family: str | None = trial.params.get("family", fixed_params_of(trial).get("family"))
    return family


def counts_toward_quota(trial: FrozenTrial) -> bool:
    """Whether a trial counts toward its family's quota: it was trained, and did not fail."""
    return MAX_EPOCHS in trial.user_attrs and trial.state != TrialState.FAIL


def next_family(
    trials: Iterable[FrozenTrial], families: Sequence[str], minimum: int
) -> str | None:
    """Return the family that is furthest behind its minimum; None if none is.

    Running trials count, including those whose config is not complete yet.
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
