"""One trial, from the worker's side: a conversation with the trainer, watched.

What becomes of the trial is an `Outcome`; `RELEASED` and `LOST` mean that it goes on later.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from search.data import PreparedSet
from search.errors import ArtifactError
from search.machine.memory import OomCounter, available_mb
from search.strategy.seeds import TRAINING, derive_seed
from search.studies.open_study import OpenStudy
from search.studies.training_task import make_task
from search.trainer.process import Trainer, TrainerGoneError
from search.trainer.protocol import (
    Busy,
    Confusion,
    Decision,
    Epoch,
    Failed,
    Finished,
    Message,
    Note,
    Ready,
    Resumed,
    Task,
    Unfit,
)
from search.workers.family_failures import record_traceback
from search.workers.proposals import Proposal
from storage import EpochRow, Outcome, longest_epoch_s, record_epoch, set_activity
from storage.optuna_internals import reported_steps

logger = logging.getLogger(__name__)

POLL_S = 0.2
MAX_POLL_S = 1.0
"""A longer time between two looks at the trainer was the worker's own, stopped or at the store."""
MIN_SILENCE_S = 120.0
SILENCE_EPOCHS = 10
SLOWEST_OPERATIONS_PER_S = 2e9
"""A trainer has hung that is silent for two minutes, for ten of the study's longest epochs, and
for as long as an epoch of its network takes on a slow core that others use too."""
MEMORY_FACTOR = 1.5
MEMORY_SLACK_MB = 200.0
"""Predictions are within 1.5 times or 50 MB of the peak; the rest is what a process gathers."""
FETCH_TIMEOUT_S = 180.0
FETCH_RETRY_S = 10.0
"""How long an artifact store that is away is waited for, and how often it is tried meanwhile."""
ACTIVITY_S = 1.0
CONFUSION = "confusion"
MAX_CONFUSION_CLASSES = 40
"""Of so many classes at most, a trial keeps its confusion matrix on validation."""
NEAR_LIMIT_SHARE = 0.85
LOW_MEMORY_MB = 256.0


class Unfinished(Enum):
    """The trial has not ended and goes on later."""

    RELEASED = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Interruption:
    """What may end a trial from outside: at once, or at the end of its epoch."""

    now: Callable[[], bool]
    at_epoch_end: Callable[[], bool]


@dataclass(slots=True)
class FeaturesProgress:
    """How far a trainer is with the features of a split, in words that are said once a second."""

    is_shown: bool = False
    began_at: float = 0.0
    shown_at: float = 0.0

    def describe(self, done: int, total: int) -> str | None:
        """Return what to show, or None when that was said a moment ago."""
        now = time.monotonic()
        if done == 0 or not self.is_shown:
            self.began_at = now
        if self.is_shown and now - self.shown_at < ACTIVITY_S:
            return None
        self.is_shown, self.shown_at = True, now
        words = f"features of {done:,}/{total:,} images"
        if done == 0 or now == self.began_at:
            return words
        left_s = (now - self.began_at) / done * (total - done)
        return f"{words}, about {left_s:.0f} s left"


@dataclass(slots=True)
class TrialRunner:
    """A trial while it is trained."""

    opened: OpenStudy
    proposal: Proposal
    trainer: Trainer
    interruption: Interruption
    best: float = float("-inf")
    start_mb: float = 0.0
    last_memory_mb: float = 0.0
    has_save_error: bool = False
    confusion: Confusion = ()
    spent_s: float = 0.0
    silent_s: float = 0.0
    polled_at: float = field(default_factory=time.monotonic)
    features: FeaturesProgress = field(default_factory=FeaturesProgress)

    def run(self) -> Outcome | Unfinished:
        """Train the trial to its end, or to an interruption.

        Raises:
            LeaseLostError: If another worker has taken the trial.
        """
        self.start_mb = self.trainer.memory_mb()
        silence_limit_s = self._silence_limit_s()
        ooms = OomCounter()
        try:
            resume_from = self._fetch_checkpoint()
        except ArtifactError as error:
            logger.warning("trial %s is given back: %s", self._number, error)
            return Unfinished.RELEASED
        try:
            self.trainer.send(self._task(resume_from))
            while True:
                message = self.trainer.receive(POLL_S)
                self._count_time(message)
                ending = self._handle(message) if message else None
                if ending is None:
                    ending = self._check_limits(silence_limit_s)
                if ending is not None:
                    return ending
        except TrainerGoneError:
            return self._classify_exit(ooms)
        finally:
            self._clear_activity()

    @property
    def _number(self) -> int:
        return self.proposal.trial.number

    @property
    def _checkpoint(self) -> Path:
        return self.opened.artifacts.checkpoint(self._number, self.proposal.lease.generation)

    @property
    def _data(self) -> PreparedSet:
        return self.opened.data_of(self.proposal.config.family)

    def _fetch_checkpoint(self) -> Path | None:
        """Return what the trial goes on from; bringing it here is no time of the trial's own.

        Without it the trial would begin again, so an artifact store that is away is waited for.

        Raises:
            ArtifactError: If it is still away after a while, or the worker has to leave.
        """
        give_up_at, is_logged = time.monotonic() + FETCH_TIMEOUT_S, False
        while True:
            try:
                found = self.opened.artifacts.fetch(
                    self._number, self.proposal.lease.generation, self._is_interrupted
                )
                break
            except ArtifactError as error:
                if time.monotonic() >= give_up_at or self._is_interrupted():
                    raise
                if not is_logged:
                    logger.warning("trial %s waits for its checkpoint: %s", self._number, error)
                is_logged = True
            self._sleep(FETCH_RETRY_S)
        self.polled_at = time.monotonic()
        return found

    def _is_interrupted(self) -> bool:
        return self.interruption.now() or self.interruption.at_epoch_end()

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._is_interrupted():
            time.sleep(min(POLL_S, seconds))

    def _task(self, resume_from: Path | None = None) -> Task:
        return make_task(
            self.opened,
            self.proposal.config,
            seed=derive_seed(self.opened.settings.search.seed, self._number, TRAINING),
            checkpoint=self._checkpoint,
            resume_from=resume_from,
        )

    def _handle(self, message: Message) -> Outcome | Unfinished | None:
        """Act on what the trainer said."""
        match message:
            case Resumed(rows, confusion):
                logger.info("trial %s goes on after epoch %s", self._number, rows[-1].epoch)
                self._keep_confusion(confusion)
            case Epoch(row, save_error, confusion):
                rows = (row,)
                self._keep_confusion(confusion)
                self._keep_checkpoint(save_error)
            case Busy(done, total):
                return self._wait_for_features(done, total)
            case Finished(value, metrics):
                return Outcome("complete", value=value, metrics=metrics)
            case Unfit(reason):
                return Outcome("unfit", reason)
            case Failed(reason, traceback):
                record_traceback(self.proposal.trial, traceback)
                return Outcome("fail", reason)
            case _:
                self._log_note(message)
                return None
        return self._record_and_decide(rows)

    def _log_note(self, message: Message) -> None:
        if isinstance(message, Note):
            logger.warning("trial %s: %s", self._number, message.text)

    def _wait_for_features(self, done: int, total: int) -> Unfinished | None:
        """Let a trainer compute features, which is no time of the trial's own."""
        self.spent_s = 0.0
        activity = self.features.describe(done, total)
        if activity is not None:
            set_activity(self.opened.store, self.proposal.lease.worker_id, activity)
        if self.interruption.at_epoch_end():
            self.trainer.close()
            return Unfinished.RELEASED
        return None

    def _clear_activity(self) -> None:
        if self.features.is_shown:
            self.features = FeaturesProgress()
            set_activity(self.opened.store, self.proposal.lease.worker_id, None)

    def _keep_confusion(self, confusion: Confusion) -> None:
        """Note what the best epoch so far takes for what, where that is another one now."""
        if 0 < len(confusion) <= MAX_CONFUSION_CLASSES and confusion != self.confusion:
            self.confusion = confusion
            self.proposal.trial.set_user_attr(CONFUSION, confusion)

    def _keep_checkpoint(self, save_error: str) -> None:
        """Make what the trainer saved taken to the artifact store, or warns that it did not."""
        if not save_error:
            self.opened.artifacts.upload(self._number, self.proposal.lease.generation)
        elif not self.has_save_error:
            logger.warning("trial %s goes on without a checkpoint: %s", self._number, save_error)
        self.has_save_error = bool(save_error)

    def _record_and_decide(self, rows: Sequence[EpochRow]) -> Outcome | Unfinished | None:
        """Record epochs, and let the trial go on after the last of them or not."""
        trial = self.proposal.trial
        self._clear_activity()
        for row in rows:
            self.best = max(self.best, row.val_accuracy)
            if row.epoch not in self._reported_epochs():
                trial.report(self.best, row.epoch)
            record_epoch(self.opened.store, self.proposal.lease, row, self.proposal.pending)
        epoch = rows[-1].epoch
        if trial.should_prune():
            reason = f"By the pruner after epoch {epoch}."
            return self._stop(Outcome("pruned", reason, metrics={"epochs": epoch}))
        if self.interruption.at_epoch_end():
            return self._stop(Unfinished.RELEASED)
        self.polled_at = time.monotonic()  # A store that is away costs no trial time.
        self._reply("go_on")
        return None

    def _reported_epochs(self) -> set[int]:
        return reported_steps(self.proposal.trial)

    def _stop(self, ending: Outcome | Unfinished) -> Outcome | Unfinished:
        self._reply("stop")
        return ending

    def _reply(self, decision: Decision) -> None:
        self.trainer.send(decision)

    def _count_time(self, message: Message | None) -> None:
        """Count how long the trainer works and is silent while we listen, not while we slept."""
        now = time.monotonic()
        step_s, self.polled_at = min(now - self.polled_at, MAX_POLL_S), now
        self.spent_s += step_s
        self.silent_s = 0.0 if message else self.silent_s + step_s
        if self.trainer.ready_mb is None or isinstance(message, Ready):
            self.spent_s = 0.0  # Loading TensorFlow is no time of the trial's own.

    def _check_limits(self, silence_limit_s: float) -> Outcome | Unfinished | None:
        """End the trainer when it is over a limit, hangs, or the worker has to leave."""
        memory_mb = self.trainer.memory_mb()
        self.last_memory_mb = memory_mb or self.last_memory_mb
        memory_limit_mb = self._memory_limit_mb()
        timeout_s = self.opened.settings.training.trial_timeout
        ending: Outcome | Unfinished | None = None
        if self.interruption.now():
            ending = Unfinished.RELEASED
        elif memory_mb > memory_limit_mb:
            ending = Outcome(
                "unfit", f"Out of memory: {memory_mb:.0f} MB, the limit is {memory_limit_mb:.0f}."
            )
        elif timeout_s is not None and self.spent_s > timeout_s:
            ending = Outcome("unfit", f"Over the time limit of a trial, {timeout_s:g} s.")
        elif self.silent_s > silence_limit_s and not self._is_loading():
            logger.warning(
                "trial %s: no word from its trainer for %.0f s; it is ended",
                self._number,
                self.silent_s,
            )
            ending = Unfinished.LOST
        if ending is not None:
            self.trainer.close()
        return ending

    def _is_loading(self) -> bool:
        """Whether TensorFlow may take its time: a limit for epochs is none for its start."""
        return self.trainer.ready_mb is None and self.silent_s <= MIN_SILENCE_S

    def _classify_exit(self, ooms: OomCounter) -> Outcome | Unfinished:
        """Tell a kill for want of memory from any other end of the trainer."""
        code = self.trainer.exit_code()
        was_near = (
            self.last_memory_mb > NEAR_LIMIT_SHARE * self._memory_limit_mb()
            or available_mb() < LOW_MEMORY_MB
        )
        if code == -9 and (was_near or ooms.has_grown()):
            return Outcome("unfit", f"Out of memory at {self.last_memory_mb:.0f} MB.")
        logger.warning(
            "trial %s: its trainer ended with exit code %s: %s",
            self._number,
            code,
            self.trainer.stderr_tail(),
        )
        return Unfinished.LOST

    def _memory_limit_mb(self) -> float:
        """Return the memory that the trial may take beyond what the trainer had before it."""
        max_memory_mb = self.opened.limits_of(self.proposal.config.family).max_memory_mb
        if max_memory_mb is None or self.trainer.ready_mb is None:
            return float("inf")
        before_mb = max(self.start_mb, self.trainer.ready_mb)
        return before_mb + MEMORY_FACTOR * max_memory_mb + MEMORY_SLACK_MB

    def _silence_limit_s(self) -> float:
        given = self.opened.settings.training.silence_timeout
        if given is not None:
            return given
        longest = longest_epoch_s(self.opened.store, self.opened.study_id) or 0.0
        # The backward pass takes twice the operations of the forward pass.
        operations = 3 * self.proposal.operations * self._data.counts["train"]
        slowest = operations / SLOWEST_OPERATIONS_PER_S
        return max(MIN_SILENCE_S, SILENCE_EPOCHS * longest, slowest)
