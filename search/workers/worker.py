"""The worker of one study: trains its trials until the budget is spent."""

from contextlib import suppress

from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.shutdown import Shutdown, flush_before_exit, wait_for_uploads
from search.workers.study_session import StudySession
from storage import LivenessMonitor, StoreUnavailableError, register_worker, remove_worker

IDLE_S = 1.0


class Worker:
    """One worker of one study."""

    def __init__(self, opened: OpenStudy, pool: TrainerPool) -> None:
        self.opened = opened
        self.pool = pool
        self.shutdown = Shutdown(opened.store)
        self.worker_id = register_worker(opened.store, opened.study_id, device=pool.device.name)

    def run(self) -> None:
        """Train trials until the study is over or shutdown is requested, and end the trainers.

        Raises:
            StudyNotFoundError: If the study was deleted.
            StoreUnavailableError: If the store has been unavailable for too long.
        """
        session = StudySession(
            self.opened,
            self.pool,
            worker_id=self.worker_id,
            shutdown=self.shutdown,
            liveness=LivenessMonitor(),
        )
        try:
            with self.shutdown.closing_trainers(self.pool):
                while not session.is_stopping() and not session.is_over():
                    if not session.run_trial():
                        self.shutdown.wait(IDLE_S)
                self.pool.close()  # Free its memory for other workers.
                wait_for_uploads([self.opened.artifacts], session.must_stop_soon)
        finally:
            flush_before_exit([self.opened.artifacts])
            with suppress(StoreUnavailableError):
                remove_worker(self.opened.store, self.worker_id)
