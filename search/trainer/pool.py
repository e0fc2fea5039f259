"""A worker's trainers: the current one, and the next one warming up before it is needed."""

import logging
from collections.abc import Sequence
from functools import partial

from search.machine.gpus import CPU, Device
from search.trainer.process import COMMAND, Trainer

logger = logging.getLogger(__name__)

MAX_GROWTH_MB = 150.0  # Each network leaves a megabyte or two in the process, large ones more.
WARM_UP_SHARE = 0.7  # Share of that growth after which the next trainer loads TensorFlow.


class TrainerPool:
    """Provides a trainer for each trial, the same one as long as its memory stays flat."""

    def __init__(
        self, *, n_threads: int = 1, command: Sequence[str] = COMMAND, device: Device = CPU
    ) -> None:
        self.device = device
        self._make = partial(
            Trainer, n_threads=n_threads, command=command, device=device.environment
        )
        self._current = self._make()
        self._next: Trainer | None = None
        self._first_mb: float | None = None
        self._has_started = False

    @property
    def has_started(self) -> bool:
        """Whether any trainer so far could load TensorFlow."""
        return self._has_started or self._current.ready_mb is not None

    def take(self) -> Trainer:
        """Return a running trainer; it may still be loading TensorFlow."""
        if self._current.exit_code() is not None:
            self._replace()
        return self._current

    def after_trial(self) -> None:
        """Replace the trainer, or prepare to, if its memory has grown too much."""
        if self._current.exit_code() is not None:
            return
        memory_mb = self._current.memory_mb()
        if self._first_mb is None:
            self._first_mb = memory_mb
        growth = memory_mb - self._first_mb
        if growth > MAX_GROWTH_MB:
            logger.info("the trainer has grown by %.0f MB and is replaced", growth)
            self._replace()
        elif growth > WARM_UP_SHARE * MAX_GROWTH_MB and self._next is None:
            self._next = self._make()

    def close(self) -> None:
        """End all trainers."""
        self._current.close()
        if self._next is not None:
            self._next.close()

    def _replace(self) -> None:
        self._has_started = self.has_started
        self._current.close()
        if self._next is None or self._next.exit_code() is not None:
            self._next = self._make()
        self._current, self._next, self._first_mb = self._next, None, None
