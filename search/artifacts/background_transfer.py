"""The courier: does what takes time with the artifact store, while training goes on."""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from search.errors import ArtifactError

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0
"""Before an errand that failed is tried again."""
STALLED_AFTER = 4
"""An errand that failed so many times has little hope."""

Action = Callable[[], None]


@dataclass(slots=True)
class _QueuedAction:
    """An errand, with what its log lines are about, and when it is due."""

    action: Action
    is_retried: bool
    context: Context = field(default_factory=copy_context)
    due: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    n_failures: int = 0


class BackgroundTransfer:
    """Runs errands in a thread of its own, one after the other, in the order of their keys.

    A newer errand takes the place of a pending one of the same key, so that a slow artifact store
    gets the latest checkpoint instead of all of them. One that fails is a warning, and those
    behind it come first; a lasting one is then tried again until it succeeds or is replaced.
    """

    def __init__(self) -> None:
        self._queue: dict[str, _QueuedAction] = {}
        self._current: _QueuedAction | None = None
        self._changed = threading.Condition()
        self._is_running = False
        self._has_failed = False

    @property
    def is_done(self) -> bool:
        """Whether all errands are done."""
        return not self._is_running

    @property
    def has_unfinished(self) -> bool:
        """Whether there is a lasting errand that is not done."""
        with self._changed:
            return bool(self._unfinished())

    @property
    def is_progressing(self) -> bool:
        """Whether a lasting errand is under way, or has not failed again and again."""
        with self._changed:
            return any(
                it is self._current or it.n_failures < STALLED_AFTER for it in self._unfinished()
            )

    def send(self, key: str, action: Action, *, is_retried: bool = False) -> None:
        """Make an errand run as soon as those before it are done."""
        with self._changed:
            self._queue[key] = _QueuedAction(action, is_retried)
            self._changed.notify_all()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="courier", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all errands are done, and tell whether they are.

        Those that failed are tried again at once.
        """
        with self._changed:
            for queued in self._queue.values():
                queued.due, queued.backoff_s, queued.n_failures = 0.0, FIRST_BACKOFF_S, 0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._is_running, timeout_s)

    def cancel_all(self) -> None:
        """Forget the errands that are not begun, and try none again."""
        with self._changed:
            self._queue.clear()
            if self._current is not None:
                self._current.is_retried = False
            self._changed.notify_all()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            key, queued = found
            is_done = queued.context.run(self._try, queued)
            with self._changed:
                self._current = None
                if not is_done:
                    self._reschedule(key, queued)

    def _next(self) -> tuple[str, _QueuedAction] | None:
        """Return the errand whose turn it is once it is due; None when all are done."""
        with self._changed:
            while self._queue:
                key, queued = min(self._queue.items(), key=lambda item: item[1].due)
                wait_s = queued.due - time.monotonic()
                if wait_s <= 0:
                    self._current = self._queue.pop(key)
                    return key, queued
                self._changed.wait(wait_s)
            self._is_running = False
            self._changed.notify_all()
            return None

    def _unfinished(self) -> list[_QueuedAction]:
        """Return the lasting errands that are not done; under the lock."""
        current = [] if self._current is None else [self._current]
        return [it for it in (*current, *self._queue.values()) if it.is_retried]

    def _reschedule(self, key: str, queued: _QueuedAction) -> None:
        """Plan to try a lasting errand again, unless there is a newer one; under the lock."""
        queued.due = time.monotonic() + queued.backoff_s
        queued.backoff_s = min(2 * queued.backoff_s, MAX_BACKOFF_S)
        queued.n_failures += 1
        if queued.is_retried:
            self._queue.setdefault(key, queued)

    def _try(self, queued: _QueuedAction) -> bool:
        """Run an errand, and tell whether it succeeded."""
        try:
            queued.action()
        except (ArtifactError, OSError) as error:
            self._log_state(error)
            return False
        except Exception:  # Whatever a library raises: the errands behind it are to be run.
            logger.exception("the artifact store failed in a way that is not known")
            return False
        with self._changed:
            is_refused = any(it.n_failures for it in self._unfinished() if it is not queued)
        if not is_refused:
            self._log_state(None)
        return True

    def _log_state(self, error: Exception | None) -> None:
        """Warn when errands begin to fail, and say when they succeed again."""
        if error is not None and not self._has_failed:
            logger.warning("checkpoints stay where they are for now: %s", error)
        elif error is None and self._has_failed:
            logger.warning("the artifact store can be used again")
        self._has_failed = error is not None
