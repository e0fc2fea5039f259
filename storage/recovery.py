"""Recovery: what a worker that died, or was cut off half-way, left to be put right.

Any process may run this at any time. Each step is safe to repeat and to race: the leases decide.
"""

import logging
from datetime import datetime, timedelta

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import TrialState

from storage.errors import LeaseLostError, StoreError
from storage.leases import (
    MAX_LOSSES,
    Lease,
    OpenLease,
    drop_claim,
    list_open,
    mark_told,
    record_outcome,
    release,
)
from storage.outcomes import Outcome
from storage.store import Store
from storage.workers import GRACE_S, list_workers, remove_worker

logger = logging.getLogger(__name__)

TELL_TRIES = 5


def recover(store: Store, study: Study) -> int:
    """Gives back the trials of dead workers and tells Optuna the outcomes it was not told.

    Returns:
        How many leases were put right.
    """
    study_id: int = study._study_id
    leases = list_open(store, study_id)  # First: who claims one meanwhile is on the list below.
    rows = list_workers(store, study_id)
    alive = {row.worker_id for row in rows if row.is_alive}
    abandoned = [
        lease
        for lease in leases
        if lease.worker_id not in alive and (lease.worker_id is not None or lease.outcome)
    ]
    for lease in abandoned:
        _put_right(store, study, lease)
    for row in rows:
        if row.worker_id not in alive:
            remove_worker(store, row.worker_id)
    return len(abandoned) + _fail_orphans(store, study)


def needs_recovery(store: Store, study_id: int) -> bool:
    """Whether a worker of the study is dead, or an outcome untold that nobody is about to tell."""
    rows = list_workers(store, study_id)
    alive = {row.worker_id for row in rows if row.is_alive}
    return len(alive) < len(rows) or any(
        lease.worker_id not in alive and (lease.worker_id is not None or lease.outcome)
        for lease in list_open(store, study_id)
    )


def give_back(store: Store, study: Study, lease: Lease, *, lost: bool = False) -> None:
    """Puts a trial back to WAITING and lets go of its lease; a third loss makes it FAIL.

    Raises:
        LeaseLostError: If the trial was taken meanwhile.
    """
    if lease.trial_id is None:
        drop_claim(store, lease.lease_id)
        return
    if lost and lease.n_losses + 1 >= MAX_LOSSES:
        reason = f"Its worker or trainer was lost {MAX_LOSSES} times."
        finish(store, study, lease, Outcome("fail", reason))
        return
    set_waiting(study, lease.trial_id)
    release(store, lease, lost=lost)


def finish(store: Store, study: Study, lease: Lease, outcome: Outcome) -> None:
    """Records how a trial ended, then tells Optuna.

    Raises:
        LeaseLostError: If the trial was taken meanwhile; nothing is then recorded or told.
    """
    record_outcome(store, lease, outcome)
    _tell(store, study, lease.lease_id, lease.trial_id, outcome)


def _put_right(store: Store, study: Study, lease: OpenLease) -> None:
    if lease.outcome is not None:
        _tell(store, study, lease.lease_id, lease.trial_id, lease.outcome)
        return
    if lease.worker_id is None:
        return
    held = Lease(
        lease_id=lease.lease_id,
        study_id=study._study_id,
        worker_id=lease.worker_id,
        generation=lease.generation,
        n_losses=lease.n_losses,
        trial_id=lease.trial_id,
        trial_number=lease.trial_number,
    )
    try:
        give_back(store, study, held, lost=True)
        logger.warning("trial %s: its worker is gone, it waits again", lease.trial_number)
    except LeaseLostError:
        logger.info("trial %s: another worker has put it right", lease.trial_number)


def _tell(
    store: Store, study: Study, lease_id: int, trial_id: int | None, outcome: Outcome
) -> None:
    """Writes an outcome to Optuna's trial; that it is there already is as good."""
    if trial_id is not None:
        storage = study._storage
        try:
            if outcome.reason:
                storage.set_trial_user_attr(trial_id, "reason", outcome.reason)
            for name, value in outcome.metrics.items():
                storage.set_trial_user_attr(trial_id, name, value)
            _tell_running(study, trial_id, outcome)
        except UpdateFinishedTrialError:
            logger.info("trial id %s was told already", trial_id)
    mark_told(store, lease_id)


def _tell_running(study: Study, trial_id: int, outcome: Outcome) -> None:
    """Tells an outcome; a trial that a slow recovery has put back to WAITING is set running."""
    storage = study._storage
    number = storage.get_trial(trial_id).number
    value = outcome.value if outcome.kind == "complete" else None
    for _ in range(TELL_TRIES):
        storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        try:
            study.tell(number, value, state=outcome.state)
        except ValueError:
            if storage.get_trial(trial_id).state.is_finished():
                return
        else:
            return
    raise StoreError(f"Optuna does not take the end of trial {number}; `{outcome.kind}` is kept.")


def set_waiting(study: Study, trial_id: int) -> None:
    """Shows the trial as WAITING. It comes before the lease is free: who takes it sets RUNNING."""
    try:
        study._storage.set_trial_state_values(trial_id, TrialState.WAITING)
    except UpdateFinishedTrialError:
        logger.info("trial id %s is finished already", trial_id)


def _fail_orphans(store: Store, study: Study) -> int:
    """Ends trials that Optuna began for a worker that died before it could lease them.

    Those that were enqueued wait again.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    long_ago = datetime.now() - timedelta(seconds=GRACE_S)
    old = [t for t in trials if t.datetime_start is not None and t.datetime_start < long_ago]
    if not old:
        return 0
    leased = {lease.trial_id for lease in list_open(store, study._study_id)}
    orphans = [trial for trial in old if trial._trial_id not in leased]
    for trial in orphans:
        if "fixed_params" in trial.system_attrs:  # It was enqueued, and is still to be tried.
            set_waiting(study, trial._trial_id)
            continue
        try:
            study._storage.set_trial_user_attr(
                trial._trial_id, "reason", "Its worker died before it began."
            )
            study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            logger.info("trial %s: another worker has put it right", trial.number)
    return len(orphans)
