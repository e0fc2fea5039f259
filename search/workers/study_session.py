"""A worker's session in one study: heartbeats, one trial after another, and `--timeout`."""

import logging
import socket
import time
from contextlib import suppress
from functools import partial

from search.artifacts import trial_numbers_to_keep
from search.errors import ArtifactError, DataError, StudyMismatchError, WorkerStartError
from search.machine.gpus import Device
from search.machine.log_format import log_context
from search.machine.processes import last_lines
from search.settings.stored import creation_in
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.proposals import Proposal, next_proposal
from search.workers.shutdown import FLUSH_TIMEOUT_S, Shutdown
from search.workers.trial_runner import Interruption, TrialRunner, Unfinished
from storage import (
    HEARTBEAT_INTERVAL_S,
    LeaseLostError,
    LivenessMonitor,
    Outcome,
    StudyNotFoundError,
    StudyRecord,
    count_done,
    finish_trial,
    is_time_up,
    list_open_leases,
    list_workers,
    load_study,
    recover,
    release_trial,
    send_heartbeat,
)

logger = logging.getLogger(__name__)

RECOVER_S = 1.0  # Between two checks for trials whose worker has died.
RAN_ON = "ran_on"  # The user attribute of a trial with the machines and devices that trained it.


class StudySession:
    """A worker in one study, where it is registered already.

    `liveness` holds the heartbeats of other workers that were observed so far, in any study.
    """

    def __init__(
        self,
        opened: OpenStudy,
        pool: TrainerPool,
        *,
        worker_id: str,
        shutdown: Shutdown,
        liveness: LivenessMonitor,
    ) -> None:
        self.opened = opened
        self._pool = pool
        self._worker_id = worker_id
        self._shutdown = shutdown
        self._liveness = liveness
        self._next_recovery_at = 0.0
        self._heartbeat_at = 0.0
        self._is_stopped = False
        self._has_trained = False
        self._is_suspended = False  # Release trials: `--timeout` is over, or the study stopped.

    def run_trial(self) -> bool:
        """Train one trial; return False if there is none at the moment.

        Raises:
            StudyNotFoundError: If the study was deleted.
            StoreUnavailableError: If the store has been unavailable for too long.
        """
        try:
            return self._run_trial()
        except KeyError:  # Raised by Optuna for a deleted study.
            self._load_record()
            raise

    def is_stopping(self) -> bool:
        """Whether to exit now; called several times a second, so it also sends heartbeats."""
        self._send_heartbeat()
        return self._shutdown.is_requested

    def must_stop_soon(self) -> bool:
        """Whether to exit soon; also sends heartbeats."""
        return self.is_stopping() or self._is_stopped

    def is_over(self) -> bool:
        """Whether the study is over, and no other worker can release a trial any more."""
        if self._is_suspended:
            return True
        record = self._load_record()
        is_spent = record.n_trials is not None and record.n_trials <= count_done(
            self.opened.store, self.opened.study_id
        )
        if not is_spent and record.end_reason is None:
            return False
        return not list_open_leases(self.opened.store, self.opened.study_id)

    def _run_trial(self) -> bool:
        if self.is_stopping() or self._is_suspended:
            return False
        if time.monotonic() >= self._next_recovery_at:
            recover(self.opened.store, self.opened.study_id, self._liveness)
            self._next_recovery_at = time.monotonic() + RECOVER_S
        self.opened.ensure_data()  # Before a trial is claimed that could not be trained.
        proposal = self._propose()
        if proposal is not None:
            with log_context(trial=proposal.trial.number):
                self._train(proposal)
        return proposal is not None

    def _propose(self) -> Proposal | None:
        try:
            return next_proposal(self.opened, self._worker_id, self.is_stopping)
        except LeaseLostError as error:
            logger.warning("%s", error)
            return None

    def _train(self, proposal: Proposal) -> None:
        """Train one trial, and record its outcome unless another worker has taken it over."""
        opened, lease = self.opened, proposal.lease
        interruption = Interruption(self.is_stopping, lambda: self._is_suspended)
        _record_device(proposal, self._pool.device)
        trainer = self._pool.take()
        run = TrialRunner(
            opened, proposal, trainer, interruption, self._pool.has_started, self._has_trained
        )
        try:
            ending = run.run()
            if isinstance(ending, Outcome):
                finish_trial(opened.store, lease, ending, proposal.pending)
                _log_outcome(lease.trial_number, ending)
                n_best = opened.artifacts.n_best
                to_keep = partial(trial_numbers_to_keep, opened.store, opened.study_id, n_best)
                opened.artifacts.clean_up(to_keep)
            else:
                opened.artifacts.transfer.wait(FLUSH_TIMEOUT_S)  # It is resumed from there.
                is_lost = ending is Unfinished.LOST
                words = " ".join(last_lines(trainer.stderr_tail())) if is_lost else ""
                release_trial(opened.store, lease, lost=is_lost, words=words)
        except LeaseLostError as error:
            logger.warning("%s", error)
            run.trainer.close()
        except (StudyNotFoundError, KeyError):  # The study was deleted.
            run.trainer.close()
            raise
        except (DataError, StudyMismatchError, ArtifactError, WorkerStartError):
            run.trainer.close()
            with suppress(LeaseLostError):
                release_trial(opened.store, lease)
            raise
        self._has_trained |= run.best > float("-inf")
        opened.artifacts.release_local_copy(proposal.trial.number, lease.generation)
        self._pool.after_trial()

    def _send_heartbeat(self) -> None:
        now = time.time()  # Not the monotonic clock, which stops while a laptop sleeps.
        if 0 <= now - self._heartbeat_at < HEARTBEAT_INTERVAL_S:
            return
        self._heartbeat_at = now
        active_s = send_heartbeat(
            self.opened.store, self.opened.study_id, self._worker_id, device=self._pool.device.name
        )
        self._liveness.observe(list_workers(self.opened.store))
        record = self._load_record()
        self._is_stopped = record.is_stopped
        self._is_suspended = record.is_stopped or is_time_up(record, active_s)

    def _load_record(self) -> StudyRecord:
        """Load the study's record, unless a new study has its name or id."""
        record = load_study(self.opened.store, self.opened.name)
        if creation_in(record.settings) != self.opened.settings.creation:
            raise StudyNotFoundError("The study was deleted, and a new one has its name.")
        return record


def _record_device(proposal: Proposal, device: Device) -> None:
    """Record the machine and device of a trial, after earlier ones."""
    trial = proposal.trial
    place = f"{socket.gethostname()}, {device.name}"
    trial.set_user_attr(RAN_ON, [*dict.fromkeys([*trial.user_attrs.get(RAN_ON, ()), place])])


def _log_outcome(trial_number: int | None, ending: Outcome) -> None:
    value = "" if ending.value is None else f" {ending.value:.4f}"
    reason = f": {ending.reason}" if ending.reason else ""
    logger.info("trial %s: %s%s%s", trial_number, ending.kind, value, reason)
