"""Recovery: what a worker that died, or was cut off half-way, left to be put right.

Any process may run this at any time. Each step is safe to repeat and to race: the leases decide.
"""

import logging
import time
from collections.abc import Container, Iterable
from datetime import timedelta

import sqlalchemy as sa
from optuna.trial import TrialState

from storage.coordination.heartbeats import (
    GRACE_S,
    HEARTBEAT_INTERVAL_S,
    LivenessMonitor,
    list_workers,
    remove_dead,
)
from storage.coordination.leases import (
    MAX_LOSSES,
    Lease,
    OpenLease,
    count_losses,
    list_open_leases,
    record_outcome,
    release_lease,
)
from storage.coordination.pending_writes import PendingWrites
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import LeaseLostError
from storage.optuna_internals import FIXED_PARAMS
from storage.optuna_schema.tables import system_attributes, trials, utc_now
from storage.optuna_schema.writes import end_trial, set_waiting
from storage.outcomes import Outcome
from storage.tables import leases

logger = logging.getLogger(__name__)

WATCH_S = 1.2 * HEARTBEAT_INTERVAL_S
"""How long a silent worker is watched for by whoever looks at the store but once."""


def recover(store: Store, study_id: int, liveness: LivenessMonitor | None = None) -> int:
    """Return back the trials of dead workers and tell Optuna the outcomes it was not told.

    With a lookout, workers of other machines must have been silent before its eyes.

    Returns:
        How many leases were put right.
    """
    open_leases = list_open_leases(
        store, study_id
    )  # First: who begins one meanwhile is listed below.
    rows = list_workers(store, study_id)
    alive = {
        row.worker_id
        for row in rows
        if row.is_alive or (liveness is not None and not liveness.is_confirmed_dead(row))
    }
    abandoned = _abandoned(open_leases, alive)
    for lease in abandoned:
        _recover_lease(store, study_id, lease)
    dead = [row for row in rows if row.worker_id not in alive]
    if dead:
        remove_dead(store, dead)
    return len(abandoned) + _end_unleased_trials(store, study_id)


def recover_once(store: Store, study_id: int) -> int:
    """Recover for whoever keeps no lookout: silent workers elsewhere are watched for a beat.

    After an outage, or a sleep of this machine, all of them would seem dead.

    Returns:
        How many leases were put right.
    """
    liveness = LivenessMonitor(confirm_after_s=HEARTBEAT_INTERVAL_S)
    rows = list_workers(store, study_id)
    suspected = [row for row in rows if not row.is_alive and not row.is_gone]
    for row in suspected[:1]:
        logger.warning(
            "A worker on %s has been silent for %.0f s: watching it for %.0f s.",
            row.host,
            row.last_seen_s,
            WATCH_S,
        )
        liveness.observe(rows)
        time.sleep(WATCH_S)
        liveness.observe(list_workers(store, study_id))
    return recover(store, study_id, liveness)


def needs_recovery(store: Store, study_id: int) -> bool:
    """Whether a worker of the study is dead, or an outcome untold that nobody is about to tell."""
    rows = list_workers(store, study_id)
    alive = {row.worker_id for row in rows if row.is_alive}
    return len(alive) < len(rows) or bool(_abandoned(list_open_leases(store, study_id), alive))


def release_trial(store: Store, lease: Lease, *, lost: bool = False) -> None:
    """Put a trial back to WAITING and let go of its lease.

    A third loss without an epoch gained since the first makes it FAIL.

    Raises:
        LeaseLostError: If the trial was taken meanwhile.
    """
    if lost and count_losses(store, lease) + 1 >= MAX_LOSSES:
        reason = f"Its worker or trainer was lost {MAX_LOSSES} times."
        finish_trial(store, lease, Outcome("fail", reason))
        return
    release_lease(store, lease, lost=lost)


def finish_trial(
    store: Store, lease: Lease, outcome: Outcome, pending: PendingWrites | None = None
) -> None:
    """Record how a trial ended, then tells Optuna. What waits in the draft comes first.

    Raises:
        LeaseLostError: If the trial was taken meanwhile; nothing is then recorded or told.
    """
    record_outcome(store, lease, outcome, pending)
    _tell_optuna(store, lease.lease_id, lease.trial_id, outcome)


def _abandoned(open_leases: Iterable[OpenLease], alive: Container[str]) -> list[OpenLease]:
    """Return the leases that were begun or have ended, and whose worker is not there any more."""
    return [
        lease
        for lease in open_leases
        if lease.worker_id not in alive and (lease.worker_id is not None or lease.outcome)
    ]


def _recover_lease(store: Store, study_id: int, lease: OpenLease) -> None:
    if lease.outcome is not None:
        _tell_optuna(store, lease.lease_id, lease.trial_id, lease.outcome)
        return
    if lease.worker_id is None:
        return
    held = Lease(
        lease_id=lease.lease_id,
        study_id=study_id,
        worker_id=lease.worker_id,
        generation=lease.generation,
        n_losses=lease.n_losses,
        trial_id=lease.trial_id,
        trial_number=lease.trial_number,
    )
    try:
        release_trial(store, held, lost=True)
        logger.warning("trial %s: its worker is gone, it waits again", lease.trial_number)
    except LeaseLostError:
        logger.info("trial %s: another worker has put it right", lease.trial_number)


@with_retry
def _tell_optuna(store: Store, lease_id: int, trial_id: int, outcome: Outcome) -> None:
    """End Optuna's trial with an outcome; that it has ended already is as good."""
    with store.write() as connection:
        connection.execute(leases.update().where(leases.c.lease_id == lease_id).values(told=True))
        if not end_trial(connection, trial_id, outcome):
            logger.info("trial id %s was told already", trial_id)


@with_retry
def _end_unleased_trials(store: Store, study_id: int) -> int:
    """End trials that somebody began with Optuna alone and has not gone on with for long.

    Those that were enqueued wait again.
    """
    long_ago = utc_now() - timedelta(seconds=GRACE_S)
    unleased = (
        sa.select(trials.c.trial_id, system_attributes.c.key)
        .outerjoin(leases, leases.c.trial_id == trials.c.trial_id)
        .outerjoin(
            system_attributes,
            sa.and_(
                system_attributes.c.trial_id == trials.c.trial_id,
                system_attributes.c.key == FIXED_PARAMS,
            ),
        )
        .where(
            trials.c.study_id == study_id,
            trials.c.state == TrialState.RUNNING,
            trials.c.datetime_start < long_ago,
            leases.c.lease_id.is_(None),
        )
    )
    with store.read() as connection:  # Mostly there is none, and nobody has to be held up.
        if connection.execute(unleased).first() is None:
            return 0
    with store.write() as connection:
        found = connection.execute(unleased).all()
        for trial_id, fixed in found:
            if fixed is not None:  # It was enqueued, and is still to be tried.
                set_waiting(connection, trial_id)
            else:
                outcome = Outcome("fail", "Its worker died before it began.")
                end_trial(connection, trial_id, outcome)
    return len(found)
