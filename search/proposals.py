"""Proposals: from a claim on the budget to a trial whose config is new and within the limits."""

import copy
import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import optuna
from optuna.exceptions import OptunaError
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from search.broken import describe_error, explain_broken_family, keep_traceback
from search.fair_start import MAX_EPOCHS, next_family
from search.open_study import OpenStudy
from search.sampling import make_sampler
from spaces import Config, Cost, SpaceError, find_family, predict_cost
from storage import (
    Lease,
    LeaseLostError,
    Outcome,
    StoreError,
    attach_trial,
    claim_budget,
    count_configs,
    drop_claim,
    end_study,
    finish,
    last_kinds,
    record_config,
    set_waiting,
    take_released,
)

logger = logging.getLogger(__name__)

MAX_VAIN_PROPOSALS = 100
MAX_FAILURES = 5
VAIN = frozenset({"repeat", "rejected"})
N_REPEATS_BEFORE_RANDOM = 10
"""After as many repeats in a row configs are drawn uniformly: a sampler that has settled on a few
configs would draw them again and again, and never find those that are left."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial to train: the lease on it, its config, and Optuna's handle."""

    lease: Lease
    config: Config
    trial: optuna.Trial
    operations: int
    """Floating-point operations of one image's forward pass."""


def next_proposal(
    opened: OpenStudy, worker_id: str, is_stopping: Callable[[], bool] = lambda: False
) -> Proposal | None:
    """Gives a trial that was let go, or a new one; None when nothing is to be had right now.

    A config over the limits or tried before ends its trial at once, and another one is drawn;
    too many of those in a row end the study. `is_stopping` is asked between the draws.

    Raises:
        LeaseLostError: If another worker has taken what this one held.
    """
    lease = take_released(opened.store, opened.study_id, worker_id)
    if lease is not None and lease.trial_id is not None:
        opened.study._storage.set_trial_state_values(lease.trial_id, TrialState.RUNNING)
        return _examine(opened, lease, optuna.Trial(opened.study, lease.trial_id))
    while not is_stopping():
        claim = claim_budget(opened.store, opened.study_id, worker_id)
        if claim is None:
            return None
        if _end_if_vain(opened):
            drop_claim(opened.store, claim.lease_id)
            return None
        leased = _ask(opened, claim)
        proposal = None if leased is None else _examine(opened, *leased)
        if proposal is not None:
            return proposal
    return None


def _end_if_vain(opened: OpenStudy) -> bool:
    """Ends a study that gets nowhere: nothing new to draw, nothing that fits, only failures."""
    kinds = last_kinds(opened.store, opened.study_id, MAX_VAIN_PROPOSALS)
    trained = [kind for kind in kinds if kind not in VAIN][:MAX_FAILURES]
    reason: str | None = None
    has_failed = trained == ["fail"] * MAX_FAILURES
    if has_failed:
        reason = f"The last {MAX_FAILURES} trials failed; `rank --all` shows why."
    elif (broken := explain_broken_family(opened)) is not None:
        reason, has_failed = broken, True
    elif _is_exhausted(opened):
        reason = (
            f"The search space is exhausted: all {opened.n_configs} configurations were drawn. "
            "Widen [space] to go on."
        )
    if reason is None and len(kinds) == MAX_VAIN_PROPOSALS and VAIN.issuperset(kinds):
        reason = _explain_vain(opened, kinds)
    if reason is not None:
        end_study(opened.store, opened.study_id, reason, has_failed=has_failed)
    return reason is not None


def _is_exhausted(opened: OpenStudy) -> bool:
    if opened.n_configs is None:
        return False
    return count_configs(opened.store, opened.study_id) >= opened.n_configs


def _ask(opened: OpenStudy, claim: Lease) -> tuple[Lease, optuna.Trial] | None:
    """Asks the sampler for a trial and leases it, or gives None when it is another worker's."""
    study = copy.copy(opened.study)
    study.sampler = _choose_sampler(opened)
    trial = study.ask()
    try:
        lease = attach_trial(opened.store, claim, trial._trial_id, trial.number)
    except LeaseLostError:
        set_waiting(study, trial._trial_id)
        raise
    if lease is None:
        drop_claim(opened.store, claim.lease_id)
        return None
    return lease, trial


def _choose_sampler(opened: OpenStudy) -> BaseSampler:
    """Gives the study's sampler: on one family while that is behind, uniform after repeats."""
    settings, families = opened.settings, opened.space.families
    kinds = last_kinds(opened.store, opened.study_id, N_REPEATS_BEFORE_RANDOM)
    has_settled = kinds == ["repeat"] * N_REPEATS_BEFORE_RANDOM
    name = "random" if has_settled else settings.search.sampler
    family = None
    if settings.family_trials:
        trials = opened.study.get_trials(deepcopy=False)
        family = next_family(trials, families, settings.family_trials)
    fixed = None if family is None else {"family": family}
    return make_sampler(name, settings.search.seed, fixed=fixed)


def _examine(opened: OpenStudy, lease: Lease, trial: optuna.Trial) -> Proposal | None:
    """Draws the config, and ends the trial when it is too large, not new, or raises."""
    try:
        config = opened.space.suggest(trial)
        trial.set_user_attr("config", config.to_json())
        cost, excess, overrun = _weigh(opened, config)
    except (OptunaError, StoreError):
        raise
    except (Exception, SystemExit) as error:  # Whatever the code of a user's family may raise.
        keep_traceback(trial, traceback.format_exc())
        finish(opened.store, opened.study, lease, Outcome("fail", describe_error(error)))
        return None
    if not trial.constraints:
        trial.set_constraint("size", overrun)
    earlier = record_config(opened.store, lease, config.key())
    if excess is not None:
        outcome = Outcome("rejected", excess)
    elif earlier is not None:
        outcome = Outcome("repeat", f"The same configuration as trial {earlier}.")
    elif cost is not None:
        trial.set_user_attr("parameters", cost.parameters)
        n_phases = find_family(config.family).n_phases
        trial.set_user_attr(MAX_EPOCHS, n_phases * opened.settings.training.max_epochs)
        return Proposal(lease, config, trial, cost.operations)
    logger.info("trial %s: %s", trial.number, outcome.reason)
    finish(opened.store, opened.study, lease, outcome)
    return None


def _weigh(opened: OpenStudy, config: Config) -> tuple[Cost | None, str | None, float]:
    """Gives a config's cost, what is over a limit, and by how much of it."""
    limits, data = opened.limits_of(config.family), opened.data_of(config.family)
    try:
        cost = predict_cost(config, data.image_shape, data.n_classes)
    except SpaceError as error:
        return None, str(error), 1.0
    return cost, limits.excess(cost), limits.overrun(cost)


def _explain_vain(opened: OpenStudy, kinds: list[str]) -> str:
    """Says what came of the last proposals, and the limits that stood in their way."""
    limits, n_repeats = opened.settings.limits.values(), kinds.count("repeat")
    most = (it.max_operations for it in limits)
    operations = (None if it is None else it / 1e6 for it in most)  # as the option takes them
    return (
        f"The last {len(kinds)} proposals were {n_repeats} repeats and {len(kinds) - n_repeats} "
        "over the limits. Widen [space], or raise what stands in the way: "
        f"--max-parameters (now {_tell(it.max_parameters for it in limits)}), "
        f"--max-memory (now {_tell((it.max_memory_mb for it in limits), unit=' MB')}), "
        f"--max-operations (now {_tell(operations, unit=' million')})."
    )


def _tell(limits: Iterable[float | None], unit: str = "") -> str:
    """Tells the limits of networks from scratch and of pretrained ones, where they differ."""
    texts = ("none" if limit is None else f"{limit:,.10g}{unit}" for limit in limits)
    return " and ".join(dict.fromkeys(texts))
