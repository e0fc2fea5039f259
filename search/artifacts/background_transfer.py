"""A queue of transfers to and from the artifact store, run in a thread beside the training."""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from search.errors import ArtifactError

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0  # Pauses before a failed action is retried.
STALLED_AFTER = 4  # An action with so many failures in a row is not waited for.

Action = Callable[[], None]


@dataclass(slots=True)
class _QueuedAction:
    """An action with its logging context and the time when it is due."""

    action: Action
    is_retried: bool
    context: Context = field(default_factory=copy_context)
    due: float = 0.0
    n_failures: int = 0


class BackgroundTransfer:
    """Runs actions one after the other in a thread of its own.

    A new action replaces a queued one with the same key, so that a slow artifact store gets the
    latest checkpoint instead of all of them. A failure is logged, and the other actions run
    first; an action with `is_retried` is then retried until it succeeds or is replaced.
    """

    def __init__(self) -> None:
        self._queue: dict[str, _QueuedAction] = {}
        self._current: _QueuedAction | None = None
        self._changed = threading.Condition()
        self._is_running = False
        self._has_failed = False

    @property
    def is_done(self) -> bool:
        """Whether no action is queued or running."""
        return not self._is_running

    @property
    def has_unfinished(self) -> bool:
        """Whether an action that is retried has not succeeded yet."""
        with self._changed:
            return bool(self._unfinished())

    @property
    def is_progressing(self) -> bool:
        """Whether an action that is retried is running, or has not failed repeatedly."""
        with self._changed:
            return any(
                it is self._current or it.n_failures < STALLED_AFTER for it in self._unfinished()
            )

    def submit(self, key: str, action: Action, *, is_retried: bool = False) -> None:
        """Queue an action."""
        with self._changed:
            self._queue[key] = _QueuedAction(action, is_retried)
            self._changed.notify_all()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Retry failed actions at once, wait for all, and return whether all are done."""
        with self._changed:
            for queued in self._queue.values():
                queued.due, queued.n_failures = 0.0, 0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._is_running, timeout_s)

    def cancel_all(self) -> None:
        """Drop the queued actions, and do not retry the running one."""
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
        """Wait until the next action is due; return None when all are done."""
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
        """Return the retried actions that have not succeeded; the caller holds the lock."""
        current = [] if self._current is None else [self._current]
        return [it for it in (*current, *self._queue.values()) if it.is_retried]

    def _reschedule(self, key: str, queued: _QueuedAction) -> None:
        """Queue a failed action again unless a new one replaces it; the caller holds the lock."""
        backoff_s = min(FIRST_BACKOFF_S * 2 ** min(queued.n_failures, 10), MAX_BACKOFF_S)
        queued.due = time.monotonic() + backoff_s
        queued.n_failures += 1
        if queued.is_retried:
            self._queue.setdefault(key, queued)

    def _try(self, queued: _QueuedAction) -> bool:
        """Run an action, and return whether it succeeded."""
        try:
            queued.action()
        except (ArtifactError, OSError) as error:
            self._log_state(error)
            return False
        except Exception:  # Whatever a library raises: the other actions have to run.
            logger.exception("unexpected error of the artifact store")
            return False
        with self._changed:
            is_refused = any(it.n_failures for it in self._unfinished() if it is not queued)
        if not is_refused:
            self._log_state(None)
        return True

    def _log_state(self, error: Exception | None) -> None:
        """Log when actions begin to fail, and when they succeed again."""
        if error is not None and not self._has_failed:
            logger.warning("checkpoints stay on this machine for now: %s", error)
        elif error is None and self._has_failed:
            logger.warning("the artifact store can be used again")
        self._has_failed = error is not None
