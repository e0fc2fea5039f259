"""The fit of one trial: its phases and epochs, the best weights, and going on.

A fit depends on its task alone. Data order and augmentation are functions of (seed, epoch), and
everything else is in the checkpoint, so one that was cut off goes on bit for bit.
"""

import time
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
    load_checkpoint,
    write_checkpoint,
)
from search.training.feature_cache import OnProgress
from search.training.phase import NotFiniteError, Phase
from search.training.phase_plan import count_phases, make_phase
from spaces import Config
from storage import EpochRow

__all__ = ["Fit", "NotFiniteError"]


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch so far, counted from 1, and what the network had learned by then.

    `confusion` is of its answers on validation, empty where an older checkpoint did not keep it.
    """

    accuracy: float
    epoch: int
    phase: int
    trained_state: dict[str, NDArray[Any]]
    confusion: Confusion = ()


def _ignore_progress(_done: int, _total: int) -> None:
    """Tell nobody of progress."""


class Fit:
    """A network in training.

    `history` holds its epochs so far, the restored ones too; `save_error` says why the last of
    them
    is in no checkpoint, and is empty when it is in one.
    """

    def __init__(
        self, task: Task, data: PreparedSet, on_progress: OnProgress = _ignore_progress
    ) -> None:
        keras.utils.set_random_seed(task.seed)
        self.task = task
        self.data = data
        self.config = Config.from_json(task.config)
        self.history: list[EpochRow] = []
        self.save_error = ""
        self.best: BestEpoch | None = None
        self._on_progress = on_progress
        checkpoint = self._load_checkpoint()
        self.phase = self._make_phase(checkpoint.state["phase"] if checkpoint else 1)
        if checkpoint:
            self._restore(checkpoint)

    @property
    def model(self) -> keras.Model:
        """The network of the present phase."""
        return self.phase.model

    @property
    def has_next_epoch(self) -> bool:
        """Whether there is another epoch to train."""
        return not self.phase.is_over or self.phase.number < count_phases(self.config)

    def run_epoch(self) -> EpochRow:
        """Train and validates one epoch, and save the checkpoint if that can be done.

        Raises:
            NotFiniteError: If the loss is not a finite number any more.
        """
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
        """That of the best epoch so far on validation; empty before the first."""
        return () if self.best is None else self.best.confusion

    def finish(self) -> Finished:
        """Put the best weights back and measure them on the validation split."""
        from sklearn.metrics import balanced_accuracy_score, roc_auc_score

        assert self.best is not None, "a fit without an epoch"
        n_parameters = self.model.count_params()
        if self.best.phase != self.phase.number:
            self.phase = self._make_phase(self.best.phase)
        self.phase.assign(self.best.trained_state)
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
        """Go on to the next phase from the best epoch of the ones before."""
        assert self.best is not None
        self.phase = self._make_phase(self.phase.number + 1)
        self.phase.assign(self.best.trained_state)

    def _save(self) -> None:
        assert self.best is not None
        arrays = {
            **_prefixed("model", self.phase.trained_state()),
            **_prefixed("best", self.best.trained_state),
            **_prefixed("optimizer", dict(_numbered(self.phase.optimizer_arrays()))),
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
        except CheckpointError as error:  # The trial can do without, as long as it goes on here.
            self.save_error = str(error)
        else:
            self.save_error = ""

    def _load_checkpoint(self) -> Checkpoint | None:
        """The checkpoint, if there is a whole one of this very task."""
        checkpoint = load_checkpoint(Path(self.task.resume_from or self.task.checkpoint))
        if checkpoint is None or checkpoint.state.get("task") != task_identity(self.task):
            return None
        return checkpoint

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Go on where the checkpoint was saved."""
        self.phase.assign(group(checkpoint, "model"))
        optimizer = group(checkpoint, "optimizer")
        self.phase.restore(
            [optimizer[str(i)] for i in range(len(optimizer))], checkpoint.state["progress"]
        )
        self.best = BestEpoch(
            **checkpoint.state["best"],
            trained_state=group(checkpoint, "best"),
            confusion=tuple(map(tuple, checkpoint.state.get("confusion", ()))),
        )
        self.history = [EpochRow(**row) for row in checkpoint.state["history"]]


def task_identity(task: Task) -> dict[str, Any]:
    """What a checkpoint must agree on; where the files lie may change."""
    values = asdict(task)
    for place in ("data", "checkpoint", "resume_from", "features", "modules"):
        del values[place]
    if task.weights is not None:
        values["weights"] = {key: task.weights[key] for key in ("digest", "mode")}
    return values


def _prefixed(group: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{group}/{name}": array for name, array in arrays.items()}


def _numbered(arrays: list[NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    return [(str(i), array) for i, array in enumerate(arrays)]


def group(checkpoint: Checkpoint, group: str) -> dict[str, NDArray[Any]]:
    prefix = f"{group}/"
    return {
        name.removeprefix(prefix): array
        for name, array in checkpoint.arrays.items()
        if name.startswith(prefix)
    }
