"""Recovery: trials of dead workers are released, and missing outcomes are written to Optuna.

Any process may recover a study at any time: each step checks the lease, and is safe to repeat.
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
from storage.tables import leases
from storage.trial_outcomes import Outcome

logger = logging.getLogger(__name__)

MAX_WORDS = 300
WATCH_S = 1.2 * HEARTBEAT_INTERVAL_S
"""How long `recover_once` observes a silent worker."""


def recover(store: Store, study_id: int, liveness: LivenessMonitor | None = None) -> int:
    """Release trials of dead workers, write missing outcomes to Optuna, and return their number.

    With a monitor, workers of other machines are dead only if it has observed their silence.
    """
    # Read before the workers: a worker that begins a trial in between is then in their list.
    open_leases = list_open_leases(store, study_id)
    rows = list_workers(store, study_id)
    alive = {
        row.worker_id
        for row in rows
        if row.is_alive or (liveness is not None and not liveness.is_confirmed_dead(row))
    }
    abandoned = _abandoned(open_leases, alive)
    for lease in abandoned:
        _recover_lease(store, lease)
    dead = [row for row in rows if row.worker_id not in alive]
    if dead:
        remove_dead(store, dead)
    return len(abandoned) + _end_unleased_trials(store, study_id)


def recover_once(store: Store, study_id: int) -> int:
    """Call `recover` after observing silent workers of other machines for one heartbeat.

    Without that, all of them would seem dead after an outage or a sleep of this machine.
    """
    liveness = LivenessMonitor(confirm_after_s=HEARTBEAT_INTERVAL_S)
    rows = list_workers(store, study_id)
    suspected = [row for row in rows if not row.is_alive and not row.is_gone]
    for row in suspected[:1]:
        logger.warning(
            "A worker on %s has been silent for %.0f s: observing it for %.0f s.",
            row.host,
            row.last_seen_s,
            WATCH_S,
        )
        liveness.observe(rows)
        time.sleep(WATCH_S)
        liveness.observe(list_workers(store, study_id))
    return recover(store, study_id, liveness)


def needs_recovery(store: Store, study_id: int) -> bool:
    """Whether a worker of the study is dead, or left an outcome that is missing in Optuna."""
    rows = list_workers(store, study_id)
    alive = {row.worker_id for row in rows if row.is_alive}
    return len(alive) < len(rows) or bool(_abandoned(list_open_leases(store, study_id), alive))


def release_trial(store: Store, lease: Lease, *, lost: bool = False, words: str = "") -> None:
    """Release a trial to WAITING; its third loss without a new epoch in between makes it FAIL.

    `words` are the last ones of its trainer, which are then recorded.

    Raises:
        LeaseLostError: If the trial was taken meanwhile.
    """
    if lost and count_losses(store, lease) + 1 >= MAX_LOSSES:
        last = f" The last trainer printed: {words[:MAX_WORDS]}" if words else ""
        reason = f"Its worker or trainer was lost {MAX_LOSSES} times.{last}"
        finish_trial(store, lease, Outcome("fail", reason))
        return
    release_lease(store, lease, lost=lost)


def finish_trial(
    store: Store, lease: Lease, outcome: Outcome, pending: PendingWrites | None = None
) -> None:
    """Record how a trial ended, with pending writes, then end Optuna's trial.

    Raises:
        LeaseLostError: If the trial was taken meanwhile; then nothing is recorded.
    """
    record_outcome(store, lease, outcome, pending)
    _tell_optuna(store, lease.lease_id, lease.trial_id, outcome)


def _abandoned(open_leases: Iterable[OpenLease], alive: Container[str]) -> list[OpenLease]:
    """Return the leases that have a worker or an outcome, and no living worker."""
    return [
        lease
        for lease in open_leases
        if lease.worker_id not in alive and (lease.worker_id is not None or lease.outcome)
    ]


def _recover_lease(store: Store, lease: OpenLease) -> None:
    if lease.outcome is not None:
        _tell_optuna(store, lease.lease_id, lease.trial_id, lease.outcome)
        return
    if lease.worker_id is None:
        return
    try:
        release_trial(store, Lease.of(lease), lost=True)
        logger.warning("trial %s: its worker died, the trial waits again", lease.trial_number)
    except LeaseLostError:
        logger.info("trial %s: another process has recovered it", lease.trial_number)


@with_retry
def _tell_optuna(store: Store, lease_id: int, trial_id: int, outcome: Outcome) -> None:
    """End Optuna's trial with an outcome, unless it has ended already."""
    with store.write() as connection:
        connection.execute(leases.update().where(leases.c.lease_id == lease_id).values(told=True))
        if not end_trial(connection, trial_id, outcome):
            logger.info("Optuna's trial with the id %s had ended already", trial_id)


@with_retry
def _end_unleased_trials(store: Store, study_id: int) -> int:
    """End trials without a lease that plain Optuna began long ago; enqueued ones wait again."""
    unleased = (
        sa.select(trials.c.trial_id, system_attributes.c.key)
        .outerjoin(
            system_attributes,
            sa.and_(
                system_attributes.c.trial_id == trials.c.trial_id,
                system_attributes.c.key == FIXED_PARAMS,
            ),
        )
        .where(trials.c.study_id == study_id, is_unleased())
    )
    with store.read() as connection:  # Usually there is none, and no lock is needed.
        if connection.execute(unleased).first() is None:
            return 0
    with store.write() as connection:
        found = connection.execute(unleased).all()
        for trial_id, fixed in found:
            if fixed is not None:  # It was enqueued.
                set_waiting(connection, trial_id)
            else:
                outcome = Outcome("fail", "Its worker died before it began.")
                end_trial(connection, trial_id, outcome)
    return len(found)


def is_unleased() -> sa.ColumnElement[bool]:
    """Return the condition on trials that Optuna began long ago, and that no worker leased."""
    return sa.and_(
        trials.c.state == TrialState.RUNNING,
        trials.c.datetime_start < utc_now() - timedelta(seconds=GRACE_S),
        ~sa.exists().where(leases.c.trial_id == trials.c.trial_id),
    )
