"""Answers that take long, as the CSV of everything: made once, few at a time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus

from analysis.dashboard.responses import Page

AT_ONCE = 2
"""So many requests may wait for such an answer; the others of the server's threads stay free."""
MOST_KEPT, MOST_BYTES = 64, 64 * 1024**2
SHARE, LONGEST_S = 10, 60.0
"""An answer is given again for ten times as long as it took, whatever has changed meanwhile."""


class Costly:
    """Keeps costly answers by what was asked."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[object, float, Page]] = OrderedDict()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()

    def answer(self, asked: str, version: object, make: Callable[[], Page]) -> Page:
        """Gives the answer that is kept of a version, or makes it.

        Args:
            asked: What is asked for, and of which study.
            version: Of the study: an answer of an older one is given for a little while.
            make: Makes it.
        """
        found = self._find(asked, version)
        if found is not None:
            return found
        if not self._room.acquire(blocking=False):
            return Page.refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Others have asked for something that takes long: try again in a moment.",
                ("Retry-After", "5"),
            )
        try:
            with self._lock:  # One at a time; who waited may find it made.
                return self._find(asked, version) or self._make(asked, version, make)
        finally:
            self._room.release()

    def _find(self, asked: str, version: object) -> Page | None:
        made_of, until, page = self._kept.get(asked, (None, 0.0, None))
        return page if made_of == version or time.monotonic() < until else None

    def _make(self, asked: str, version: object, make: Callable[[], Page]) -> Page:
        began = time.monotonic()
        page = make()
        if page.status is HTTPStatus.OK:
            now = time.monotonic()
            until = now + min(SHARE * (now - began), LONGEST_S)
            self._kept[asked] = version, until, page
            self._kept.move_to_end(asked)
            while len(self._kept) > MOST_KEPT or self._n_bytes() > MOST_BYTES:
                self._kept.popitem(last=False)
        return page

    def _n_bytes(self) -> int:
        return sum(len(page.body) for _, _, page in self._kept.values())
