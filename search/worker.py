"""The worker: takes trials of a study, has them trained, and leaves when the budget is spent."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from search.open_study import OpenStudy
from search.proposals import Proposal, next_proposal
from search.training.pool import TrainerPool
from search.trial_run import Interruption, Open, TrialRun
from storage import (
    BEAT_INTERVAL_S,
    GRACE_S,
    LeaseLostError,
    Outcome,
    beat,
    count_done,
    finish,
    give_back,
    list_open,
    load_study,
    recover,
    register_worker,
    remove_worker,
)

logger = logging.getLogger(__name__)

IDLE_S = 1.0


class Worker:
    """One worker of one study; it ends the trainers of its pool when it leaves."""

    def __init__(self, opened: OpenStudy, pool: TrainerPool) -> None:
        self.opened = opened
        self.pool = pool
        self.worker_id = register_worker(opened.store, opened.study_id)
        self._stop = threading.Event()
        self._beat_at = 0.0
        self._may_recover_at = 0.0
        self._time_is_up = False

    def stop(self) -> None:
        """Asks the worker to give its trial back and leave; safe from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Trains trials until the study is over or the worker is asked to stop."""
        try:
            while not self._is_stopping() and not self._is_over():
                self._recover()
                proposal = self._propose()
                if proposal is None:
                    self._stop.wait(IDLE_S)
                else:
                    self._train(proposal)
        finally:
            self.pool.close()
            remove_worker(self.opened.store, self.worker_id)

    def _recover(self) -> None:
        """Puts right what dead workers left, once in a while."""
        if time.time() >= self._may_recover_at:
            recover(self.opened.store, self.opened.study)
            self._may_recover_at = time.time() + IDLE_S

    def _propose(self) -> Proposal | None:
        try:
            return next_proposal(self.opened, self.worker_id, self._is_stopping)
        except LeaseLostError as error:
            logger.warning("%s", error)
            return None

    def _train(self, proposal: Proposal) -> None:
        """Trains one trial, and records what became of it unless somebody else has taken it."""
        opened, lease = self.opened, proposal.lease
        interruption = Interruption(self._is_stopping, lambda: self._time_is_up)
        run = TrialRun(opened, proposal, self.pool.take(), interruption)
        try:
            ending = run.run()
            if isinstance(ending, Outcome):
                finish(opened.store, opened.study, lease, ending, proposal.draft)
                _log_ending(lease.trial_number, ending)
                opened.artifacts.tidy(opened.store, opened.study_id)
            else:
                give_back(opened.store, opened.study, lease, lost=ending is Open.LOST)
        except LeaseLostError as error:
            logger.warning("%s", error)
            run.trainer.close()
        self.pool.after_trial()

    def _is_stopping(self) -> bool:
        """Whether to leave now; asked several times a second, so it beats along the way."""
        self._beat()
        return self._stop.is_set()

    def _beat(self) -> None:
        now = time.time()  # Not the monotonic clock, which stands still while a laptop sleeps.
        gap = now - self._beat_at
        if 0 <= gap < BEAT_INTERVAL_S:
            return
        if self._beat_at and gap > GRACE_S / 2:
            # After a sleep all workers look dead to each other until they have beaten again.
            self._may_recover_at = now + GRACE_S
        self._beat_at = now
        active_s = beat(self.opened.store, self.opened.study_id, self.worker_id)
        timeout_s = load_study(self.opened.store, self.opened.name).timeout_s
        self._time_is_up = timeout_s is not None and active_s >= timeout_s

    def _is_over(self) -> bool:
        """Whether nothing is left to do, for this worker or for one that dies meanwhile."""
        if self._time_is_up:
            return True
        record = load_study(self.opened.store, self.opened.name)
        is_spent = record.n_trials is not None and record.n_trials <= count_done(
            self.opened.store, self.opened.study_id
        )
        if not is_spent and record.end_reason is None:
            return False
        return not list_open(self.opened.store, self.opened.study_id)


def serve(opened: OpenStudy, *, n_threads: int, is_supervised: bool) -> int:
    """Runs a worker in this process, and gives the exit code: 0, or 128 and a signal's number.

    SIGTERM and Ctrl-C give the trial back and leave; the second one leaves at once. With
    `is_supervised` the end of standard input does the same: whoever started us is gone.
    """
    worker = Worker(opened, TrainerPool(n_threads=n_threads))
    caught: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if caught:
            os._exit(128 + number)
        caught.append(number)
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    if is_supervised:
        threading.Thread(target=_wait_for_end, args=(worker.stop,), daemon=True).start()
    worker.run()
    return 128 + caught[0] if caught else 0


def _wait_for_end(stop: Callable[[], None]) -> None:
    # Not `sys.stdin`: a thread that still holds its lock makes the interpreter's end crash.
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop()


def _log_ending(trial_number: int | None, ending: Outcome) -> None:
    value = "" if ending.value is None else f" {ending.value:.4f}"
    reason = f": {ending.reason}" if ending.reason else ""
    logger.info("trial %s: %s%s%s", trial_number, ending.kind, value, reason)
