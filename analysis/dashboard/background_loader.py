"""What pages show but do not wait for: plots, the data of a study."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")
PAUSE_FACTOR = 10
"""Something that took a second to make is made again after ten at the earliest."""
RETRY_AFTER_S = 30.0
"""After a failure."""
START_DELAY_S = 0.5
"""What nobody waits for is begun a little later: a page that is being made goes first."""


class BackgroundLoader(Generic[T]):
    """A value that a thread makes, again whenever it is out of date; until then the old one."""

    def __init__(self, first: T, make: Callable[[], T], *, pause_s: float = 0.0) -> None:
        self._value, self._make, self._pause_s = first, make, pause_s
        self._lock = threading.Lock()
        self._loaded_key: object = None
        self._is_first = True
        self._next_at = 0.0
        self._thread: threading.Thread | None = None

    def get(self, key: object, wait_s: float = 0.0) -> T:
        """Return the value, and has it made anew if it was made of something else than `key`.

        Args:
            key: What it is made of, as the version of a study.
            wait_s: How long to wait for the first one; of a later one, the one before is given.
        """
        with self._lock:
            is_made = self._thread is not None and self._thread.is_alive()
            if not is_made and key != self._loaded_key and time.monotonic() >= self._next_at:
                self._thread = threading.Thread(
                    target=self._run,
                    args=(key, 0.0 if wait_s and self._is_first else START_DELAY_S),
                    daemon=True,
                )
                self._thread.start()
            thread = self._thread
        if thread is not None and self._is_first:
            thread.join(wait_s)
        return self._value

    def _run(self, key: object, delay_s: float) -> None:
        time.sleep(delay_s)
        began = time.monotonic()
        pause_s = self._pause_s
        try:
            self._value = self._make()
            self._loaded_key, self._is_first = key, False
        except Exception:  # A page without it is better than none; it is tried again.
            logger.exception("something of the dashboard could not be made")
            pause_s = max(pause_s, RETRY_AFTER_S)
        now = time.monotonic()
        self._next_at = now + max(pause_s, PAUSE_FACTOR * (now - began))
