"""The fit of one trial: its phases and epochs, its best weights, and resuming it.

A fit depends on its task only. Data order and augmentation are functions of (seed, epoch), and
everything else is in the checkpoint, so an interrupted fit resumes bit for bit.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
from numpy.typing import NDArray

from search.data import PreparedSet
from search.machine.memory import private_mb
from search.trainer.protocol import Confusion, Finished, Task
from search.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint_of,
    task_identity,
    write_checkpoint,
)
from search.training.feature_cache import OnProgress
from search.training.phase import Phase, assign_state
from search.training.phase_plan import count_phases, make_phase
from spaces import Config
from storage import EpochRow


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch so far, counted from 1, and the network's state after it."""

    accuracy: float
    epoch: int
    phase: int
    trained_state: dict[str, NDArray[Any]]
    confusion: Confusion = ()  # On validation; empty if an older checkpoint does not have it.


class Fit:
    """A network in training.

    `history` holds all epochs so far; `save_error` says why the last one is in no checkpoint.
    """

    def __init__(
        self, task: Task, data: PreparedSet, on_progress: OnProgress = lambda _done, _total: None
    ) -> None:
        keras.utils.set_random_seed(task.seed)
        self.task = task
        self.data = data
        self.config = Config.from_json(task.config)
        self.history: list[EpochRow] = []
        self.save_error = ""
        self.best: BestEpoch | None = None
        self._on_progress = on_progress
        checkpoint = load_checkpoint_of(task)
        self.phase = self._make_phase(checkpoint.state["phase"] if checkpoint else 1)
        if checkpoint:
            self._restore(checkpoint)

    @property
    def model(self) -> keras.Model:
        """The network of the current phase."""
        return self.phase.model

    @property
    def has_next_epoch(self) -> bool:
        """Whether there is another epoch to train."""
        return not self.phase.is_over or self.phase.number < count_phases(self.config)

    def run_epoch(self) -> EpochRow:
        """Train and validate one epoch, and save the checkpoint if possible."""
        started = time.perf_counter()
        if self.phase.is_over:
            self._begin_next_phase()
        epoch = len(self.history) + 1
        train = self.phase.train(epoch)
        val = self.phase.validate()
        learning_rate = self.phase.learning_rate
        self.phase.end_epoch(val.loss, val.accuracy)
        if self.best is None or val.accuracy > self.best.accuracy:
            self.best = BestEpoch(
                val.accuracy, epoch, self.phase.number, self.phase.trained_state(), val.confusion
            )
        row = EpochRow(
            epoch=epoch,
            train_loss=train["loss"],
            train_accuracy=train["accuracy"],
            val_loss=val.loss,
            val_accuracy=val.accuracy,
            learning_rate=learning_rate,
            seconds=time.perf_counter() - started,
            memory_mb=private_mb(psutil.Process()),
            phase=self.phase.number,
        )
        self.history.append(row)
        if self.task.checkpoint:
            self._save()
        return row

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix of the best epoch so far; empty before the first one."""
        return () if self.best is None else self.best.confusion

    def finish(self) -> Finished:
        """Restore the best weights and measure them on the validation split."""
        from sklearn.metrics import balanced_accuracy_score, roc_auc_score

        assert self.best is not None, "a fit without an epoch"
        n_parameters = self.model.count_params()
        if self.best.phase != self.phase.number:
            self.phase = self._make_phase(self.best.phase)
        assign_state(self.model, self.best.trained_state)
        labels = self.data.labels("val")
        probabilities = self.phase.predict().astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        scores = probabilities[:, 1] if self.data.n_classes == 2 else probabilities
        classes = range(self.data.n_classes)
        metrics = {
            "best_epoch": self.best.epoch,
            "epochs": len(self.history),
            "seconds": sum(row.seconds for row in self.history),
            "parameters": n_parameters,
            "val_loss": self.history[self.best.epoch - 1].val_loss,
            "balanced_accuracy": float(
                balanced_accuracy_score(labels, probabilities.argmax(axis=1))
            ),
            "macro_auc": float(
                roc_auc_score(labels, scores, multi_class="ovr", average="macro", labels=classes)
            ),
        }
        return Finished(value=self.best.accuracy, metrics=metrics)

    def _make_phase(self, number: int) -> Phase:
        return make_phase(number, self.task, self.config, self.data, self._on_progress)

    def _begin_next_phase(self) -> None:
        """Begin the next phase with the weights of the best epoch so far."""
        assert self.best is not None
        self.phase = self._make_phase(self.phase.number + 1)
        assign_state(self.model, self.best.trained_state)

    def _save(self) -> None:
        assert self.best is not None
        arrays = {
            **_prefixed("model", self.phase.trained_state()),
            **_prefixed("best", self.best.trained_state),
            **_prefixed("optimizer", dict(enumerate(self.phase.optimizer_arrays()))),
        }
        state = {
            "task": task_identity(self.task),
            "phase": self.phase.number,
            "progress": self.phase.state(),
            "history": [asdict(row) for row in self.history],
            "best": {
                "accuracy": self.best.accuracy,
                "epoch": self.best.epoch,
                "phase": self.best.phase,
            },
            "confusion": self.best.confusion,
        }
        try:
            write_checkpoint(Path(self.task.checkpoint), Checkpoint(arrays, state))
        except CheckpointError as error:  # Needed only if the trial is resumed elsewhere.
            self.save_error = str(error)
        else:
            self.save_error = ""

    def _restore(self, checkpoint: Checkpoint) -> None:
        assign_state(self.model, checkpoint.group("model"))
        optimizer = checkpoint.group("optimizer")
        self.phase.restore(
            [optimizer[str(i)] for i in range(len(optimizer))], checkpoint.state["progress"]
        )
        self.best = BestEpoch(
            **checkpoint.state["best"],
            trained_state=checkpoint.group("best"),
            confusion=tuple(map(tuple, checkpoint.state.get("confusion", ()))),
        )
        self.history = [EpochRow(**row) for row in checkpoint.state["history"]]


def _prefixed(group: str, arrays: Mapping[Any, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{group}/{name}": array for name, array in arrays.items()}
