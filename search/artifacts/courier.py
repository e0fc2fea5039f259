"""The courier: does what takes time with the artifact store, while training goes on."""

import logging
import threading
from collections.abc import Callable

from search.errors import ArtifactError

logger = logging.getLogger(__name__)

Errand = Callable[[], None]


class Courier:
    """Runs errands in a thread of its own, one after the other, in the order of their keys.

    A newer errand takes the place of a pending one of the same key, so that a slow artifact store
    gets the latest checkpoint instead of all of them. One that fails is a warning: the next one
    may succeed.
    """

    def __init__(self) -> None:
        self._errands: dict[str, Errand] = {}
        self._changed = threading.Condition()
        self._is_out = False
        self._has_failed = False

    def send(self, key: str, errand: Errand) -> None:
        """Has an errand run as soon as those before it are done."""
        with self._changed:
            self._errands[key] = errand
            if not self._is_out:
                self._is_out = True
                threading.Thread(target=self._run, name="courier", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Waits until all errands are done, and tells whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_out, timeout_s)

    def _run(self) -> None:
        while (errand := self._next()) is not None:
            try:
                errand()
            except (ArtifactError, OSError) as error:
                self._note(error)
            else:
                self._note(None)

    def _next(self) -> Errand | None:
        with self._changed:
            if not self._errands:
                self._is_out = False
                self._changed.notify_all()
                return None
            return self._errands.pop(next(iter(self._errands)))

    def _note(self, error: Exception | None) -> None:
        """Warns when errands begin to fail, and says when they succeed again."""
        if error is not None and not self._has_failed:
            logger.warning("checkpoints stay where they are for now: %s", error)
        elif error is None and self._has_failed:
            logger.warning("the artifact store can be used again")
        self._has_failed = error is not None
