"""The standing worker: serves all open studies of a store, trial by trial, and waits for more."""

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

from search.artifacts import Artifacts
from search.errors import (
    ArtifactError,
    DataError,
    SearchError,
    StudyMismatchError,
    summarize,
)
from search.machine.log_format import log_context
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.shutdown import Shutdown, flush_before_exit, wait_for_uploads
from search.workers.study_session import StudySession
from spaces import SpaceError
from storage import (
    LivenessMonitor,
    OpenStudyRow,
    Store,
    StoreError,
    StoreUnavailableError,
    StudyNotFoundError,
    choose_study,
    join_next_study,
    list_open_studies,
    list_studies,
    list_workers,
    load_study,
    remove_worker,
)

logger = logging.getLogger(__name__)

WAIT_S = 3.0  # Between two polls of a store without work, or of a study without a trial.
RETRY_S = 60.0  # Pause before a study that this worker cannot serve is tried again.
OPEN_ERRORS = (SearchError, SpaceError, StoreError, OSError)
"""Raised if the data, modules or version of a study do not match this worker's."""


class StandingWorker:
    """A worker that serves the study whose turn it is, with one pool of trainers.

    `run` ends the pool, and returns after `idle_exit_s` without work; None waits forever.
    """

    def __init__(
        self, store: Store, pool: TrainerPool, *, idle_exit_s: float | None = None
    ) -> None:
        self.store = store
        self.pool = pool
        self.idle_exit_s = idle_exit_s
        self.worker_id = uuid.uuid4().hex
        self.shutdown = Shutdown(store)
        self._liveness = LivenessMonitor()
        self._opened: dict[int, tuple[str, OpenStudy]] = {}
        self._uploading: list[Artifacts] = []  # Of studies that were reopened or cannot be served.
        self._skip_reasons: dict[int, str] = {}
        self._skipped_until: dict[int, float] = {}

    def run(self) -> None:
        """Serve open studies until shutdown is requested, or there was no work for too long.

        Raises:
            StoreUnavailableError: If the store has been unavailable for too long.
        """
        try:
            with self.shutdown.closing_trainers(self.pool):
                self._serve_all()
                self.pool.close()  # Free its memory for other workers.
                wait_for_uploads(self._artifacts(), lambda: self.shutdown.is_requested)
        finally:
            flush_before_exit(self._artifacts())

    def _serve_all(self) -> None:
        worked_at = time.monotonic()
        while not self.shutdown.is_requested:
            self._liveness.observe(list_workers(self.store))
            if self._serve_next():
                worked_at = time.monotonic()
            elif self.idle_exit_s is not None and time.monotonic() - worked_at >= self.idle_exit_s:
                logger.info("exiting: no work for %g s", self.idle_exit_s)
                return
            else:
                self.shutdown.wait(WAIT_S)

    def _serve_next(self) -> bool:
        """Serve the study whose turn it is; return False if there is none."""
        rows = list_open_studies(self.store)
        self._close_finished(rows)
        if choose_study(rows, self._skipped()) is None:
            return False
        row = join_next_study(
            self.store, self.worker_id, device=self.pool.device.name, skipped=self._skipped()
        )
        if row is None:
            return False
        with log_context(study=row.name):
            try:
                return self._serve(row)
            finally:
                with suppress(StoreUnavailableError):
                    remove_worker(self.store, self.worker_id)

    def _artifacts(self) -> list[Artifacts]:
        return [*(opened.artifacts for _, opened in self._opened.values()), *self._uploading]

    def _close_finished(self, rows: Sequence[OpenStudyRow]) -> None:
        """Close studies that are over, once their uploads are done."""
        for study_id in self._opened.keys() - {row.study_id for row in rows}:
            if self._opened[study_id][1].artifacts.transfer.is_done:
                del self._opened[study_id]
        self._uploading = [it for it in self._uploading if not it.transfer.is_done]

    def _serve(self, row: OpenStudyRow) -> bool:
        """Train trials of one study until another one has its turn, or none is left."""
        opened = self._open(row)
        if opened is None:
            return False
        session = StudySession(
            opened,
            self.pool,
            worker_id=self.worker_id,
            shutdown=self.shutdown,
            liveness=self._liveness,
        )
        logger.info("joined study %s", row.name)
        n_trials = 0
        try:
            while session.run_trial():
                n_trials += 1
                if not self._is_still_next(row.study_id):
                    break
            else:
                self._skipped_until[row.study_id] = time.monotonic() + WAIT_S
        except StudyNotFoundError:
            opened.artifacts.transfer.cancel_all()
            logger.warning("study %s was deleted", row.name)
        except (DataError, StudyMismatchError, ArtifactError) as error:  # Its images are gone.
            self._uploading.append(self._opened.pop(row.study_id)[1].artifacts)
            self._skip(row, str(error))
        logger.info("leaving study %s after %d trials", row.name, n_trials)
        return n_trials > 0

    def _is_still_next(self, study_id: int) -> bool:
        chosen = choose_study(list_open_studies(self.store, self.worker_id), self._skipped())
        return chosen is not None and chosen.study_id == study_id

    def _open(self, row: OpenStudyRow) -> OpenStudy | None:
        """Return an opened study; None, after a warning, if it cannot be opened."""
        try:
            settings = load_study(self.store, row.name).settings
            known = self._opened.get(row.study_id)
            if known is None or known[0] != settings:
                opened = OpenStudy.load(self.store, row.name, trust_modules=True)
                if known is not None and known[1].settings.creation == opened.settings.creation:
                    self._uploading.append(known[1].artifacts)
                elif known is not None:  # Another study has its name now.
                    known[1].artifacts.transfer.cancel_all()
                known = settings, opened
        except StoreUnavailableError:
            raise
        except OPEN_ERRORS as error:
            self._skip(row, str(error))
            return None
        except KeyError as error:  # Raised by Optuna for a deleted study.
            if row.name in list_studies(self.store):
                self._skip(row, summarize(error), is_unexpected=True)
            else:
                self._skip(row, "it was deleted")
            return None
        self._opened[row.study_id] = known
        self._skip_reasons.pop(row.study_id, None)
        return known[1]

    def _skip(self, row: OpenStudyRow, reason: str, *, is_unexpected: bool = False) -> None:
        self._skipped_until[row.study_id] = time.monotonic() + RETRY_S
        if self._skip_reasons.get(row.study_id) != reason:  # Logged once for each reason.
            logger.warning("cannot serve study %s: %s", row.name, reason, exc_info=is_unexpected)
        self._skip_reasons[row.study_id] = reason

    def _skipped(self) -> set[int]:
        now = time.monotonic()
        return {study_id for study_id, until in self._skipped_until.items() if until > now}
