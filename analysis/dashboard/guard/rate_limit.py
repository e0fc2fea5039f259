"""Rate limit for wrong tokens: an address waits longer after each further one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from analysis.dashboard.lru_dict import LruDict

FREE_ATTEMPTS = 5
"""Number of wrong tokens from an address before it has to wait."""
RECORD_LIFETIME_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 600.0
MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Record:
    """Wrong tokens of an address, the end of its wait, and when the record expires."""

    n_wrong: int = 0
    waits_until: float = 0.0
    expires_at: float = 0.0


class RateLimiter:
    """Counts wrong tokens by address in a bounded table; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._records: LruDict[str, _Record] = LruDict(MAX_ADDRESSES)

    def __len__(self) -> int:
        return len(self._records)

    def check(self, address: str, is_right: Callable[[], bool]) -> float | None:
        """Return 0 if a token is right, None if it is wrong, or the seconds still to wait.

        `is_right` is not called while the address has to wait. Its calls are serialized, so that
        concurrent attempts gain nothing.
        """
        with self._lock:
            now = self._clock()
            record = self._records.get(address)
            if record is not None and record.waits_until > now:
                return record.waits_until - now
            if is_right():
                self._records.pop(address, None)
                return 0.0
            self._count(address, now)
            return None

    def _count(self, address: str, now: float) -> None:
        record = self._records.get(address)
        if record is None or record.expires_at <= now:
            record = _Record()
        record.n_wrong += 1
        wait_s = 0.0
        if record.n_wrong >= FREE_ATTEMPTS:
            wait_s = min(
                LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(record.n_wrong - FREE_ATTEMPTS, 30)
            )
        record.waits_until = now + wait_s
        record.expires_at = now + 2 * wait_s + RECORD_LIFETIME_S
        self._records[address] = record
