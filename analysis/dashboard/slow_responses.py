"""Responses that take long, such as the CSV of all trials: cached, and few made at a time."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from analysis.dashboard.lru_dict import LruDict
from analysis.dashboard.responses import Response

MAX_CONCURRENT = 2
"""Maximum number of requests that wait for a slow response; other threads stay free."""
MAX_CACHED, MAX_CACHED_BYTES = 64, 64 * 1024**2
REUSE_FACTOR, MAX_REUSE_S = 10, 60.0
"""A response is reused for ten times as long as it took, even if the study changes meanwhile."""


class SlowResponses:
    """A cache of slow responses."""

    def __init__(self) -> None:
        self._cache: LruDict[str, tuple[object, float, Response]] = LruDict(MAX_CACHED)
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT)
        self._lock = threading.Lock()

    def respond(self, cache_key: str, version: object, make: Callable[[], Response]) -> Response:
        """Return the cached response, for a while even of an older version, or make it."""
        found = self._find(cache_key, version)
        if found is not None:
            return found
        if not self._slots.acquire(blocking=False):
            return Response.error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many slow requests are being answered: try again in a moment.",
                ("Retry-After", "5"),
            )
        try:
            with self._lock:  # It may have been made while this thread waited.
                return self._find(cache_key, version) or self._make(cache_key, version, make)
        finally:
            self._slots.release()

    def _find(self, cache_key: str, version: object) -> Response | None:
        cached_version, expires_at, response = self._cache.get(cache_key, (None, 0.0, None))
        return response if cached_version == version or time.monotonic() < expires_at else None

    def _make(self, cache_key: str, version: object, make: Callable[[], Response]) -> Response:
        began = time.monotonic()
        response = make()
        if response.status is HTTPStatus.OK:
            now = time.monotonic()
            expires_at = now + min(REUSE_FACTOR * (now - began), MAX_REUSE_S)
            self._cache[cache_key] = version, expires_at, response
            while sum(len(it.body) for _, _, it in self._cache.values()) > MAX_CACHED_BYTES:
                self._cache.remove_oldest()
        return response
