"""Values that a page shows once they are loaded: plots, facts about the images."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")
PAUSE_FACTOR = 10
"""A value that took 1 s to load is loaded again after 10 s at the earliest."""
RETRY_AFTER_S = 30.0
"""Delay of the next attempt after a failure."""
START_DELAY_S = 0.5
"""Delay of loads that no page waits for, so that pages are served first."""


class BackgroundLoader(Generic[T]):
    """A value that a thread loads, and loads again when it is outdated."""

    def __init__(self, first: T, make: Callable[[], T], *, pause_s: float = 0.0) -> None:
        self._value, self._make, self._pause_s = first, make, pause_s
        self._lock = threading.Lock()
        self._loaded_key: object = None
        self._is_first = True
        self._next_at = 0.0
        self._thread: threading.Thread | None = None

    def get(self, key: object, wait_s: float = 0.0) -> T:
        """Return the value, and start loading it again if `key`, its version, has changed.

        The first value is waited for, up to `wait_s`; later the previous one is returned.
        """
        with self._lock:
            is_loading = self._thread is not None and self._thread.is_alive()
            if not is_loading and key != self._loaded_key and time.monotonic() >= self._next_at:
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
        except Exception:  # The page is shown without it; it is tried again.
            logger.exception("a part of the dashboard could not be loaded")
            pause_s = max(pause_s, RETRY_AFTER_S)
        now = time.monotonic()
        self._next_at = now + max(pause_s, PAUSE_FACTOR * (now - began))
