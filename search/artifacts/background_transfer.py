"""The courier: does what takes time with the artifact store, while training goes on."""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from search.errors import ArtifactError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Before an errand that failed is tried again."""
FAILURES = 4
"""An errand that failed so many times has little hope."""

Errand = Callable[[], None]


@dataclass(slots=True)
class _Order:
    """An errand, with what its log lines are about, and when it is due."""

    errand: Errand
    is_lasting: bool
    context: Context = field(default_factory=copy_context)
    due: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    n_failures: int = 0


class Courier:
    """Runs errands in a thread of its own, one after the other, in the order of their keys.

    A newer errand takes the place of a pending one of the same key, so that a slow artifact store
    gets the latest checkpoint instead of all of them. One that fails is a warning, and those
    behind it come first; a lasting one is then tried again until it succeeds or is replaced.
    """

    def __init__(self) -> None:
        self._orders: dict[str, _Order] = {}
        self._current: _Order | None = None
        self._changed = threading.Condition()
        self._is_out = False
        self._has_failed = False

    @property
    def is_done(self) -> bool:
        """Whether all errands are done."""
        return not self._is_out

    @property
    def has_lasting(self) -> bool:
        """Whether there is a lasting errand that is not done."""
        with self._changed:
            return bool(self._lasting())

    @property
    def is_hopeful(self) -> bool:
        """Whether a lasting errand is under way, or has not failed again and again."""
        with self._changed:
            return any(it is self._current or it.n_failures < FAILURES for it in self._lasting())

    def send(self, key: str, errand: Errand, *, is_lasting: bool = False) -> None:
        """Has an errand run as soon as those before it are done."""
        with self._changed:
            self._orders[key] = _Order(errand, is_lasting)
            self._changed.notify_all()
            if not self._is_out:
                self._is_out = True
                threading.Thread(target=self._run, name="courier", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Waits until all errands are done, and tells whether they are.

        Those that failed are tried again at once.
        """
        with self._changed:
            for order in self._orders.values():
                order.due, order.pause_s, order.n_failures = 0.0, FIRST_PAUSE_S, 0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._is_out, timeout_s)

    def drop_all(self) -> None:
        """Forgets the errands that are not begun, and tries none again."""
        with self._changed:
            self._orders.clear()
            if self._current is not None:
                self._current.is_lasting = False
            self._changed.notify_all()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            key, order = found
            is_done = order.context.run(self._try, order)
            with self._changed:
                self._current = None
                if not is_done:
                    self._put_off(key, order)

    def _next(self) -> tuple[str, _Order] | None:
        """Gives the errand whose turn it is once it is due; None when all are done."""
        with self._changed:
            while self._orders:
                key, order = min(self._orders.items(), key=lambda item: item[1].due)
                wait_s = order.due - time.monotonic()
                if wait_s <= 0:
                    self._current = self._orders.pop(key)
                    return key, order
                self._changed.wait(wait_s)
            self._is_out = False
            self._changed.notify_all()
            return None

    def _lasting(self) -> list[_Order]:
        """Gives the lasting errands that are not done; under the lock."""
        current = [] if self._current is None else [self._current]
        return [it for it in (*current, *self._orders.values()) if it.is_lasting]

    def _put_off(self, key: str, order: _Order) -> None:
        """Plans to try a lasting errand again, unless there is a newer one; under the lock."""
        order.due = time.monotonic() + order.pause_s
        order.pause_s = min(2 * order.pause_s, LONGEST_PAUSE_S)
        order.n_failures += 1
        if order.is_lasting:
            self._orders.setdefault(key, order)

    def _try(self, order: _Order) -> bool:
        """Runs an errand, and tells whether it succeeded."""
        try:
            order.errand()
        except (ArtifactError, OSError) as error:
            self._note(error)
            return False
        except Exception:  # Whatever a library raises: the errands behind it are to be run.
            logger.exception("the artifact store failed in a way that is not known")
            return False
        with self._changed:
            is_refused = any(it.n_failures for it in self._lasting() if it is not order)
        if not is_refused:
            self._note(None)
        return True

    def _note(self, error: Exception | None) -> None:
        """Warns when errands begin to fail, and says when they succeed again."""
        if error is not None and not self._has_failed:
            logger.warning("checkpoints stay where they are for now: %s", error)
        elif error is None and self._has_failed:
            logger.warning("the artifact store can be used again")
        self._has_failed = error is not None
