"""One trial on the worker's side: send it to a trainer, record its epochs, decide on each.

The result is an `Outcome`, or `RELEASED` or `LOST` for a trial that is resumed later.
"""

import logging
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from search.errors import ArtifactError, WorkerStartError
from search.machine.memory import address_space_mb
from search.machine.processes import find_signal, last_lines
from search.strategy.seeds import TRAINING, derive_seed
from search.studies.open_study import OpenStudy
from search.studies.training_task import make_task
from search.trainer.process import Trainer, TrainerGoneError
from search.trainer.protocol import (
    Busy,
    Confusion,
    Epoch,
    Failed,
    Finished,
    Message,
    Note,
    Resumed,
    Task,
    Unfit,
)
from search.workers.family_failures import record_traceback
from search.workers.features_progress import FeaturesProgress
from search.workers.proposals import Proposal
from search.workers.trial_limits import TrialLimits
from storage import EpochRow, Outcome, record_epoch, set_activity
from storage.database.retry import call_with_retry
from storage.optuna_internals import reported_steps

logger = logging.getLogger(__name__)

POLL_S = 0.2
FETCH_TIMEOUT_S = 180.0  # Of the retries while the artifact store is unavailable.
FETCH_RETRY_S = 10.0
OUT_OF_ADDRESS_SPACE = re.compile(
    "bad_alloc|failed to map|cannot allocate memory|could not create a memory object"
    "|MemoryError|out of memory|more memory than there is",
    re.IGNORECASE,
)
LITTLE_ADDRESS_SPACE_MB = 16_384.0
"""TensorFlow reserves a few gigabytes."""
EXTERNAL_ENDS = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
CONFUSION = "confusion"
MAX_CONFUSION_CLASSES = 40  # With more classes, confusion matrices are not recorded.


class Unfinished(Enum):
    """The trial has not ended and is resumed later."""

    RELEASED = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Interruption:
    """Reasons to interrupt a trial from outside: at once, or at the end of its epoch."""

    now: Callable[[], bool]
    at_epoch_end: Callable[[], bool]


@dataclass(slots=True)
class TrialRunner:
    """The training of one trial by a trainer."""

    opened: OpenStudy
    proposal: Proposal
    trainer: Trainer
    interruption: Interruption
    has_started: bool = False  # Whether an earlier trainer of this worker could load TensorFlow.
    has_trained: bool = False  # Whether this worker has trained an epoch of an earlier trial.
    best: float = float("-inf")
    has_save_error: bool = False
    confusion: Confusion = ()
    limits: TrialLimits = field(init=False)
    features: FeaturesProgress = field(default_factory=FeaturesProgress)

    def run(self) -> Outcome | Unfinished:
        """Train the trial to its end, or to an interruption.

        Raises:
            LeaseLostError: If another worker has taken over the trial.
            WorkerStartError: If the worker's first trainer could not load TensorFlow, or had too
                little address space.
        """
        self.limits = TrialLimits(self.opened, self.proposal, self.trainer)
        try:
            resume_from = self._fetch_checkpoint()
        except ArtifactError as error:
            logger.warning("trial %s is released: %s", self._number, error)
            return Unfinished.RELEASED
        try:
            self.trainer.send(self._task(resume_from))
            while True:
                message = self.trainer.receive(POLL_S)
                self.limits.count_time(message)
                ending = self._handle(message) if message else None
                if ending is None:
                    ending = self._check_limits()
                if ending is not None:
                    return ending
        except TrainerGoneError:
            self._check_start()
            self._check_address_space(self.trainer.stderr_tail(), has_ended=True)
            return self._classify_exit()
        finally:
            self._clear_activity()

    @property
    def _number(self) -> int:
        return self.proposal.trial.number

    def _fetch_checkpoint(self) -> Path | None:
        """Return the checkpoint to resume from, if any; its download is not counted as trial time.

        Without it the trial would start again, so an unavailable artifact store is waited for.
        """
        deadline = time.monotonic() + FETCH_TIMEOUT_S
        found = call_with_retry(
            lambda: self.opened.artifacts.fetch(
                self._number, self.proposal.lease.generation, self._is_interrupted
            ),
            reason_of=lambda error: str(error) if isinstance(error, ArtifactError) else None,
            is_over=lambda: time.monotonic() >= deadline or self._is_interrupted(),
            what=f"the checkpoint of trial {self._number}",
            first_pause_s=FETCH_RETRY_S,
            longest_pause_s=FETCH_RETRY_S,
            sleep=self._sleep,
        )
        self.limits.pause()
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
            checkpoint=self.opened.artifacts.checkpoint(
                self._number, self.proposal.lease.generation
            ),
            resume_from=resume_from,
        )

    def _handle(self, message: Message) -> Outcome | Unfinished | None:
        """Act on a message of the trainer, and return how the trial ended, if it did."""
        rows: tuple[EpochRow, ...] = ()
        match message:
            case Resumed(rows, confusion):
                logger.info("trial %s resumes after epoch %s", self._number, rows[-1].epoch)
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
                self._check_address_space(reason)
                return Outcome("unfit", reason)
            case Failed(reason) if not self.opened.has_data_of(self.proposal.config.family):
                logger.warning("trial %s: its images are gone: %s", self._number, reason)
                return Unfinished.LOST
            case Failed(reason, traceback):
                self._check_address_space(reason)
                record_traceback(self.proposal.trial, traceback)
                return Outcome("fail", reason)
            case Note(text):
                logger.warning("trial %s: %s", self._number, text)
        return self._record_and_decide(rows) if rows else None

    def _wait_for_features(self, done: int, total: int) -> Unfinished | None:
        """Show that the trainer computes features, which is not counted as trial time."""
        self.limits.restart_time()
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
        """Record the confusion matrix of the best epoch so far if it has changed."""
        if 0 < len(confusion) <= MAX_CONFUSION_CLASSES and confusion != self.confusion:
            self.confusion = confusion
            self.proposal.trial.set_user_attr(CONFUSION, confusion)

    def _keep_checkpoint(self, save_error: str) -> None:
        """Upload the checkpoint that the trainer saved, or log once why there is none."""
        if not save_error:
            self.opened.artifacts.upload(self._number, self.proposal.lease.generation)
        elif not self.has_save_error:
            logger.warning("trial %s continues without a checkpoint: %s", self._number, save_error)
        self.has_save_error = bool(save_error)

    def _record_and_decide(self, rows: Sequence[EpochRow]) -> Outcome | Unfinished | None:
        """Record epochs, and prune, release or continue the trial after the last of them."""
        trial = self.proposal.trial
        self._clear_activity()
        for row in rows:
            self.best = max(self.best, row.val_accuracy)
            if row.epoch not in reported_steps(trial):
                trial.report(self.best, row.epoch)
            record_epoch(self.opened.store, self.proposal.lease, row, self.proposal.pending)
        epoch = rows[-1].epoch
        ending: Outcome | Unfinished | None = None
        if trial.should_prune():
            reason = f"By the pruner after epoch {epoch}."
            ending = Outcome("pruned", reason, metrics={"epochs": epoch})
        elif self.interruption.at_epoch_end():
            ending = Unfinished.RELEASED
        self.limits.pause()  # Waiting for the store is not trial time.
        self.trainer.send("go_on" if ending is None else "stop")
        return ending

    def _check_limits(self) -> Outcome | Unfinished | None:
        """End the trainer if it exceeds a limit or hangs, or the worker has to stop."""
        ending: Outcome | Unfinished | None
        if self.interruption.now():
            ending = Unfinished.RELEASED
        elif (ending := self.limits.excess()) is None and self.limits.has_hung():
            logger.warning(
                "trial %s: no message from its trainer for %.0f s; it is ended",
                self._number,
                self.limits.silent_s,
            )
            ending = Unfinished.LOST
        if ending is not None:
            self.trainer.close()
        return ending

    def _check_start(self) -> None:
        """Raise if the first trainer ended by itself while it loaded TensorFlow: all would."""
        if self.has_started or self.trainer.ready_mb is not None:
            return
        code = self.trainer.exit_code()
        if code and find_signal(code) is None:
            words = " ".join(last_lines(self.trainer.stderr_tail())) or "It printed nothing."
            raise WorkerStartError(
                f"Trainers cannot start here; the first one ended with exit code {code}: {words}"
            )

    def _check_address_space(self, words: str, *, has_ended: bool = False) -> None:
        """Raise if this worker's first trial ended for want of address space: others would too.

        A trainer that has too little may say anything when it ends.
        """
        limit_mb = address_space_mb()
        is_first = not self.has_trained and self.best == float("-inf")
        is_library = "failed to map" in words  # Every trial needs it.
        if limit_mb is None or not (is_first or is_library):
            return
        is_external = has_ended and self.trainer.exit_code() in EXTERNAL_ENDS
        is_little = has_ended and limit_mb < LITTLE_ADDRESS_SPACE_MB and not is_external
        if not is_little and not OUT_OF_ADDRESS_SPACE.search(words):
            return
        raise WorkerStartError(
            f"Trainers cannot start here: {limit_mb:,.0f} MB of address space (`ulimit -v`) are"
            f" too little: {' '.join(last_lines(words))}"
        )

    def _classify_exit(self) -> Outcome | Unfinished:
        """Return the outcome of a trainer that was out of memory, else `LOST`."""
        outcome = self.limits.oom_outcome()
        if outcome is not None:
            return outcome
        logger.warning(
            "trial %s: its trainer ended with exit code %s: %s",
            self._number,
            self.trainer.exit_code(),
            self.trainer.stderr_tail(),
        )
        return Unfinished.LOST
