"""Leaving: a worker that is asked to ends in order, whether or not the store answers."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from search.artifacts import Artifacts
from search.trainer.pool import TrainerPool
from storage import Store, StoreUnavailableError

logger = logging.getLogger(__name__)

UPLOAD_TIMEOUT_S = 600.0
"""How long a worker with nothing else to do waits for checkpoints that are on their way."""
FLUSH_TIMEOUT_S = 3.0
"""How long one in a hurry does, and a trial that is given back."""
POLL_S = 0.1


class Shutdown:
    """What a worker knows of its own end.

    Args:
        store: The store, which is waited for no more than a few seconds once it was asked.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requested = threading.Event()

    def request(self) -> None:
        """Make the worker give its trial back and leave; safe from a signal handler."""
        self._requested.set()
        self._store.retry.begin_shutdown()

    @property
    def is_requested(self) -> bool:
        """Whether the worker is to leave."""
        return self._requested.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until the worker is asked to leave."""
        self._requested.wait(seconds)

    @contextmanager
    def closing_trainers(self, pool: TrainerPool) -> Iterator[None]:
        """End trainers with the work within; a store that is away keeps nobody who was asked.

        Raises:
            StoreAwayError: If the store has been away for too long and nobody asked.
        """
        try:
            yield
        except StoreUnavailableError as error:
            if not self.is_requested:
                raise
            logger.warning("left without a word to the store: %s", error)
        finally:
            pool.close()


def wait_for_uploads(artifacts: Collection[Artifacts], must_stop_soon: Callable[[], bool]) -> None:
    """Wait while the last checkpoints are on their way, and nobody hurries the worker.

    Args:
        artifacts: Of the studies that it served.
        must_stop_soon: Asked several times a second.
    """
    for it in artifacts:
        it.transfer.wait(0.0)  # What was refused is tried again.
    until = time.monotonic() + UPLOAD_TIMEOUT_S
    while any(it.transfer.is_progressing for it in artifacts) and time.monotonic() < until:
        if must_stop_soon():
            return
        time.sleep(POLL_S)


def flush_before_exit(artifacts: Collection[Artifacts]) -> None:
    """Return files that are on their way a last moment, and say where they stay otherwise."""
    until = time.monotonic() + FLUSH_TIMEOUT_S
    for it in artifacts:
        it.transfer.wait(max(0.0, until - time.monotonic()))
    left = [str(it.folder) for it in artifacts if it.transfer.has_unfinished]
    if left:
        logger.warning("left before all checkpoints were sent; they stay in %s", ", ".join(left))
