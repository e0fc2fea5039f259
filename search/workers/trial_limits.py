"""Limits of a running trial: its time, its memory, and how long its trainer may be silent."""

import time

from search.machine.memory import OomCounter, available_mb
from search.studies.open_study import OpenStudy
from search.trainer.process import Trainer
from search.trainer.protocol import Message, Ready
from search.workers.proposals import Proposal
from storage import Outcome, longest_epoch_s

MAX_POLL_S = 1.0  # A longer time between two polls is not counted: the worker was suspended.
MIN_SILENCE_S = 120.0
SILENCE_EPOCHS = 10
SLOWEST_OPERATIONS_PER_S = 2e9
"""A trainer counts as hung if it is silent for two minutes, for ten of the study's longest epochs,
and for as long as an epoch of its network takes on a slow core with other load."""
MEMORY_FACTOR = 1.5
MEMORY_SLACK_MB = 200.0
"""Predictions are within 1.5 times or 50 MB of the peak; the rest is left by earlier trials."""
NEAR_LIMIT_SHARE = 0.85
LOW_MEMORY_MB = 256.0


class TrialLimits:
    """The time, silence and memory of a trial, measured while its trainer works."""

    def __init__(self, opened: OpenStudy, proposal: Proposal, trainer: Trainer) -> None:
        self._opened = opened
        self._proposal = proposal
        self._trainer = trainer
        self._start_mb = trainer.memory_mb()
        self._last_mb = 0.0
        self._ooms = OomCounter()
        self._spent_s = 0.0
        self.silent_s = 0.0
        self.polled_at = time.monotonic()
        self.max_silence_s = self._compute_max_silence_s()

    def count_time(self, message: Message | None) -> None:
        """Count the time since the last poll of the trainer, unless the worker was suspended."""
        now = time.monotonic()
        step_s, self.polled_at = min(now - self.polled_at, MAX_POLL_S), now
        self._spent_s += step_s
        self.silent_s = 0.0 if message else self.silent_s + step_s
        if self._trainer.ready_mb is None or isinstance(message, Ready):
            self._spent_s = 0.0  # Loading TensorFlow does not count.

    def pause(self) -> None:
        """Do not count the time since the last poll."""
        self.polled_at = time.monotonic()

    def restart_time(self) -> None:
        """Do not count any time so far."""
        self._spent_s = 0.0

    def excess(self) -> Outcome | None:
        """Return the outcome of a trial that exceeds its memory or time limit, else None."""
        memory_mb = self._trainer.memory_mb()
        self._last_mb = memory_mb or self._last_mb
        max_mb, timeout_s = self._max_memory_mb(), self._opened.settings.training.trial_timeout
        if memory_mb > max_mb:
            return Outcome(
                "unfit", f"Out of memory: {memory_mb:.0f} MB, the limit is {max_mb:.0f}."
            )
        if timeout_s is not None and self._spent_s > timeout_s:
            return Outcome("unfit", f"Over the time limit of a trial, {timeout_s:g} s.")
        return None

    def has_hung(self) -> bool:
        """Whether the trainer is silent for too long; loading TensorFlow may take two minutes."""
        is_loading = self._trainer.ready_mb is None and self.silent_s <= MIN_SILENCE_S
        return self.silent_s > self.max_silence_s and not is_loading

    def oom_outcome(self) -> Outcome | None:
        """Return the outcome of a trial whose trainer was killed for lack of memory, else None."""
        was_near = (
            self._last_mb > NEAR_LIMIT_SHARE * self._max_memory_mb()
            or available_mb() < LOW_MEMORY_MB
        )
        if self._trainer.exit_code() == -9 and (was_near or self._ooms.has_grown()):
            return Outcome("unfit", f"Out of memory at {self._last_mb:.0f} MB.")
        return None

    def _max_memory_mb(self) -> float:
        """Return the limit of the trainer's memory, including what it had before the trial."""
        max_memory_mb = self._opened.limits_of(self._proposal.config.family).max_memory_mb
        if max_memory_mb is None or self._trainer.ready_mb is None:
            return float("inf")
        before_mb = max(self._start_mb, self._trainer.ready_mb)
        return before_mb + MEMORY_FACTOR * max_memory_mb + MEMORY_SLACK_MB

    def _compute_max_silence_s(self) -> float:
        given = self._opened.settings.training.silence_timeout
        if given is not None:
            return given
        longest = longest_epoch_s(self._opened.store, self._opened.study_id) or 0.0
        n_images = self._opened.data_of(self._proposal.config.family).counts["train"]
        # The backward pass takes twice the operations of the forward pass.
        slowest = 3 * self._proposal.operations * n_images / SLOWEST_OPERATIONS_PER_S
        return max(MIN_SILENCE_S, SILENCE_EPOCHS * longest, slowest)
