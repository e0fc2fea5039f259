"""Shutdown of a worker: an orderly end, even while the store is unavailable."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from search.artifacts import Artifacts
from search.trainer.pool import TrainerPool
from storage import Store, StoreUnavailableError

logger = logging.getLogger(__name__)

UPLOAD_TIMEOUT_S = 600.0  # For the last uploads of a worker without more trials.
FLUSH_TIMEOUT_S = 3.0  # For uploads when a worker shuts down or releases a trial.
POLL_S = 0.1


class Shutdown:
    """A request for a worker to shut down; calls to its store are then retried only briefly."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requested = threading.Event()

    def request(self) -> None:
        """Make the worker release its trial and exit; safe in a signal handler."""
        self._requested.set()
        self._store.retry.begin_shutdown()

    @property
    def is_requested(self) -> bool:
        """Whether the worker has to exit."""
        return self._requested.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for some seconds, or until shutdown is requested."""
        self._requested.wait(seconds)

    @contextmanager
    def closing_trainers(self, pool: TrainerPool) -> Iterator[None]:
        """End the trainers after the block; after a request, ignore an unavailable store."""
        try:
            yield
        except StoreUnavailableError as error:
            if not self.is_requested:
                raise
            logger.warning("exiting without a final update of the store: %s", error)
        finally:
            pool.close()


def wait_for_uploads(artifacts: Collection[Artifacts], must_stop_soon: Callable[[], bool]) -> None:
    """Wait for the uploads of the last checkpoints, or until `must_stop_soon` returns True."""
    for it in artifacts:
        it.transfer.wait(0.0)  # Retry failed uploads.
    until = time.monotonic() + UPLOAD_TIMEOUT_S
    while any(it.transfer.is_progressing for it in artifacts) and time.monotonic() < until:
        if must_stop_soon():
            return
        time.sleep(POLL_S)


def flush_before_exit(artifacts: Collection[Artifacts]) -> None:
    """Wait briefly for uploads, and log where files that were not uploaded stay."""
    until = time.monotonic() + FLUSH_TIMEOUT_S
    for it in artifacts:
        it.transfer.wait(max(0.0, until - time.monotonic()))
    left = [str(it.folder) for it in artifacts if it.transfer.has_unfinished]
    if left:
        logger.warning(
            "exiting before all checkpoints were uploaded; they stay in %s", ", ".join(left)
        )
