"""Answers that take long, as the CSV of everything: made once, few at a time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus

from analysis.dashboard.responses import Response

MAX_CONCURRENT = 2
"""So many requests may wait for such an answer; the others of the server's threads stay free."""
MAX_CACHED, MAX_CACHED_BYTES = 64, 64 * 1024**2
REUSE_FACTOR, MAX_REUSE_S = 10, 60.0
"""An answer is given again for ten times as long as it took, whatever has changed meanwhile."""


class SlowResponses:
    """Keeps costly answers by what was asked."""

    def __init__(self) -> None:
        self._cache: OrderedDict[str, tuple[object, float, Response]] = OrderedDict()
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT)
        self._lock = threading.Lock()

    def respond(self, cache_key: str, version: object, make: Callable[[], Response]) -> Response:
        """Return the answer that is kept of a version, or makes it.

        Args:
            cache_key: What is asked for, and of which study.
            version: Of the study: an answer of an older one is given for a little while.
            make: Makes it.
        """
        found = self._find(cache_key, version)
        if found is not None:
            return found
        if not self._slots.acquire(blocking=False):
            return Response.error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Others have asked for something that takes long: try again in a moment.",
                ("Retry-After", "5"),
            )
        try:
            with self._lock:  # One at a time; who waited may find it made.
                return self._find(cache_key, version) or self._make(cache_key, version, make)
        finally:
            self._slots.release()

    def _find(self, cache_key: str, version: object) -> Response | None:
        cached_version, expires_at, page = self._cache.get(cache_key, (None, 0.0, None))
        return page if cached_version == version or time.monotonic() < expires_at else None

    def _make(self, cache_key: str, version: object, make: Callable[[], Response]) -> Response:
        began = time.monotonic()
        page = make()
        if page.status is HTTPStatus.OK:
            now = time.monotonic()
            expires_at = now + min(REUSE_FACTOR * (now - began), MAX_REUSE_S)
            self._cache[cache_key] = version, expires_at, page
            self._cache.move_to_end(cache_key)
            while len(self._cache) > MAX_CACHED or self._n_bytes() > MAX_CACHED_BYTES:
                self._cache.popitem(last=False)
        return page

    def _n_bytes(self) -> int:
        return sum(len(page.body) for _, _, page in self._cache.values())
