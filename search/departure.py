"""Leaving: a worker that is asked to ends in order, whether or not the store answers."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from search.training.pool import TrainerPool
from storage import Store, StoreAwayError

logger = logging.getLogger(__name__)


class Departure:
    """What a worker knows of its own end.

    Args:
        store: The store, which is waited for no more than a few seconds once it was asked.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked = threading.Event()
        self._has_failed = False

    def ask(self) -> None:
        """Has the worker give its trial back and leave; safe from a signal handler."""
        self._asked.set()
        self._store.patience.hurry()

    @property
    def was_asked(self) -> bool:
        """Whether the worker is to leave."""
        return self._asked.is_set()

    @property
    def is_hurried(self) -> bool:
        """Whether the worker was asked to leave, or leaves because of an error."""
        return self.was_asked or self._has_failed

    def wait(self, seconds: float) -> None:
        """Waits, but not longer than until the worker is asked to leave."""
        self._asked.wait(seconds)

    @contextmanager
    def orderly(self, pool: TrainerPool) -> Iterator[None]:
        """Ends trainers with the work within; a store that is away keeps nobody who was asked.

        Raises:
            StoreAwayError: If the store has been away for too long and nobody asked.
        """
        self._has_failed = True
        try:
            yield
            self._has_failed = False
        except StoreAwayError as error:
            if not self.was_asked:
                raise
            logger.warning("left without a word to the store: %s", error)
        finally:
            pool.close()
