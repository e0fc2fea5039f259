"""Proposals: draw the config of the next trial, which has to be new and within the limits."""

import copy
import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import OptunaError
from optuna.samplers import BaseSampler

from search.errors import summarize
from search.strategy.family_quota import MAX_EPOCHS, next_family
from search.strategy.sampler import make_sampler
from search.studies.open_study import OpenStudy
from search.workers import confirmation_trials
from search.workers.family_failures import explain_broken_family, record_traceback
from spaces import Config, Cost, SpaceError, find_family, predict_cost
from storage import (
    Lease,
    Outcome,
    PendingWrites,
    StoreError,
    begin_trial,
    count_configs,
    end_study,
    finish_trial,
    has_budget_left,
    last_outcomes,
    open_trial,
    record_config,
    take_released,
)

logger = logging.getLogger(__name__)

MAX_WASTED_PROPOSALS = 100
MAX_FAILURES = 5
WASTED_KINDS = frozenset({"repeat", "rejected"})
N_REPEATS_BEFORE_RANDOM = 10
"""After so many repeats in a row configs are drawn uniformly: the sampler has converged."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial to train: its lease, its config, its Optuna trial and the pending writes."""

    lease: Lease
    config: Config
    trial: optuna.Trial
    pending: PendingWrites
    operations: int  # Floating-point operations of one image's forward pass.


def next_proposal(
    opened: OpenStudy, worker_id: str, is_stopping: Callable[[], bool] = lambda: False
) -> Proposal | None:
    """Return a released trial, or a new one; None if there is none at the moment.

    A config that is over the limits or a repeat ends its trial at once, and another one is drawn;
    too many of these in a row end the study. `is_stopping` is checked between the draws.

    Raises:
        LeaseLostError: If another worker has taken over the trial.
        StudyNotFoundError, KeyError: If the study was deleted; the latter is raised by Optuna.
    """
    lease = take_released(opened.store, opened.study_id, worker_id)
    if lease is not None:
        return _draw_config(opened, lease, kinds=())
    while not is_stopping() and has_budget_left(opened.store, opened.study_id):
        ended = last_outcomes(opened.store, opened.study_id, MAX_WASTED_PROPOSALS)
        kinds = [kind for _, kind in ended]
        if _end_if_stuck(opened, kinds):
            return None
        lease = begin_trial(
            opened.store, opened.study_id, worker_id, only_enqueued=opened.is_confirmation
        )
        if lease is None and opened.is_confirmation:
            confirmation_trials.end_if_done(opened)
            return None
        proposal = None if lease is None else _draw_config(opened, lease, kinds)
        if proposal is not None:
            return proposal
    return None


def _end_if_stuck(opened: OpenStudy, kinds: Sequence[str]) -> bool:
    """End a study that is stuck: exhausted, only failures, or only repeats and rejections."""
    trained = [kind for kind in kinds if kind not in WASTED_KINDS][:MAX_FAILURES]
    reason: str | None = None
    has_failed = trained == ["fail"] * MAX_FAILURES
    if has_failed:
        reason = f"The last {MAX_FAILURES} trials failed; `rank --all` shows why."
    elif (broken := explain_broken_family(opened)) is not None:
        reason, has_failed = broken, True
    elif opened.is_confirmation:
        pass  # It draws no configs, so it cannot be exhausted.
    elif _is_exhausted(opened):
        reason = (
            f"The search space is exhausted: all {opened.n_configs} configurations were drawn. "
            "Widen [space] to continue."
        )
    elif len(kinds) == MAX_WASTED_PROPOSALS and WASTED_KINDS.issuperset(kinds):
        reason = _explain_stuck(opened, kinds)
    if reason is not None:
        end_study(opened.store, opened.study_id, reason, has_failed=has_failed)
    return reason is not None


def _is_exhausted(opened: OpenStudy) -> bool:
    if opened.n_configs is None:
        return False
    return count_configs(opened.store, opened.study_id) >= opened.n_configs


def _choose_sampler(opened: OpenStudy, kinds: Sequence[str]) -> BaseSampler:
    """Return the sampler: random after repeats, restricted to a family behind its minimum."""
    settings, families = opened.settings, opened.space.families
    has_converged = list(kinds[:N_REPEATS_BEFORE_RANDOM]) == ["repeat"] * N_REPEATS_BEFORE_RANDOM
    name = "random" if has_converged else settings.search.sampler
    family = None
    if settings.family_trials:
        trials = opened.study.get_trials(deepcopy=False)
        family = next_family(trials, families, settings.family_trials)
    fixed = None if family is None else {"family": family}
    return make_sampler(name, settings.search.seed, fixed=fixed)


def _draw_config(opened: OpenStudy, lease: Lease, kinds: Sequence[str]) -> Proposal | None:
    """Draw the config; end the trial if it is too large, a repeat, or its family raises."""
    study = copy.copy(opened.study)
    study.sampler = _choose_sampler(opened, kinds)
    trial, pending = open_trial(opened.store, study, lease.trial_id)
    try:
        config = opened.space.suggest(trial)
        trial.set_user_attr("config", config.to_json())
        cost, excess, overrun = _check_cost(opened, config)
    except (OptunaError, StoreError):
        raise
    except (Exception, SystemExit) as error:  # A user's family may raise anything.
        record_traceback(trial, traceback.format_exc())
        finish_trial(opened.store, lease, Outcome("fail", summarize(error)), pending)
        return None
    if not trial.constraints:
        trial.set_constraint("size", overrun)
    key, skip_reason = config.key(), None
    if opened.is_confirmation:
        training_check = confirmation_trials.check_training(opened, trial, config)
        key, skip_reason = training_check.key, training_check.skip_reason
        if not training_check.is_expected_config:
            reason = "The space draws another config than the one to train again."
            finish_trial(opened.store, lease, Outcome("fail", reason), pending)
            return None
    earlier = record_config(opened.store, lease, key, pending)
    if excess is not None or skip_reason is not None:
        outcome = Outcome("rejected", excess or skip_reason or "")
    elif earlier is not None:
        outcome = Outcome("repeat", f"The same configuration as trial {earlier}.")
    elif cost is not None:
        trial.set_user_attr("parameters", cost.parameters)
        n_phases = find_family(config.family).n_phases
        trial.set_user_attr(MAX_EPOCHS, n_phases * opened.settings.training.max_epochs)
        return Proposal(lease, config, trial, pending, cost.operations)
    logger.info("trial %s: %s", trial.number, outcome.reason)
    finish_trial(opened.store, lease, outcome, pending)
    return None


def _check_cost(opened: OpenStudy, config: Config) -> tuple[Cost | None, str | None, float]:
    """Return a config's cost, the limit it exceeds, and by which share of it."""
    limits, data = opened.limits_of(config.family), opened.cached_data_of(config.family)
    try:
        cost = predict_cost(config, data.image_shape, data.n_classes)
    except SpaceError as error:
        return None, str(error), 1.0
    return cost, limits.excess(cost), limits.overrun(cost)


def _explain_stuck(opened: OpenStudy, kinds: Sequence[str]) -> str:
    """Return the message on the last proposals and the limits they exceeded."""
    limits, n_repeats = opened.settings.limits.values(), kinds.count("repeat")
    most = (it.max_operations for it in limits)
    operations = (None if it is None else it / 1e6 for it in most)  # The unit of the option.
    return (
        f"The last {len(kinds)} proposals were {n_repeats} repeats and {len(kinds) - n_repeats} "
        "over the limits. Widen [space], or raise a limit: "
        f"--max-parameters (now {_format_limits(it.max_parameters for it in limits)}), "
        f"--max-memory (now {_format_limits((it.max_memory_mb for it in limits), unit=' MB')}), "
        f"--max-operations (now {_format_limits(operations, unit=' million')})."
    )


def _format_limits(limits: Iterable[float | None], unit: str = "") -> str:
    """Format the limits for networks from scratch and pretrained ones, if they differ."""
    texts = ("none" if limit is None else f"{limit:,.10g}{unit}" for limit in limits)
    return " and ".join(dict.fromkeys(texts))
