"""The worker: takes trials of a study, has them trained, and leaves when the budget is spent."""

from contextlib import suppress

from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.shutdown import Departure, flush_at_last, wait_for_sending
from search.workers.study_session import Visit
from storage import Lookout, StoreAwayError, register_worker, remove_worker

IDLE_S = 1.0


class Worker:
    """One worker of one study.

    Args:
        opened: The study.
        pool: Its trainers; `run` ends them when it leaves.
    """

    def __init__(self, opened: OpenStudy, pool: TrainerPool) -> None:
        self.opened = opened
        self.pool = pool
        self.departure = Departure(opened.store)
        self.worker_id = register_worker(opened.store, opened.study_id, device=pool.device.name)

    def run(self) -> None:
        """Trains trials until the study is over or the worker is asked to leave.

        Raises:
            StudyNotFoundError: If the study was deleted.
            StoreAwayError: If the store has been away for too long.
        """
        visit = Visit(
            self.opened,
            self.pool,
            worker_id=self.worker_id,
            departure=self.departure,
            lookout=Lookout(),
        )
        try:
            with self.departure.orderly(self.pool):
                while not visit.is_stopping() and not visit.is_over():
                    if not visit.run_trial():
                        self.departure.wait(IDLE_S)
                self.pool.close()  # Others need its memory meanwhile.
                wait_for_sending([self.opened.artifacts], visit.is_hurried)
        finally:
            flush_at_last([self.opened.artifacts])
            with suppress(StoreAwayError):
                remove_worker(self.opened.store, self.worker_id)
