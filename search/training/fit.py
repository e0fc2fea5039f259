"""The fit of one trial: epochs, early stopping, plateaus, the best weights, and going on.

A fit depends on its task alone. Data order and augmentation are functions of (seed, epoch), and
everything else is in the checkpoint, so one that was cut off goes on bit for bit.
"""

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
from numpy.typing import NDArray

from search.data import PreparedSet
from search.training.augment import augment
from search.training.checkpoint import Checkpoint, load_checkpoint, write_checkpoint
from search.training.protocol import Finished, Task
from spaces import Config
from spaces.models import build_model, build_optimizer
from storage import EpochRow

STOPPER_STATE = ("wait", "stopped_epoch", "best", "best_epoch")
PLATEAU_STATE = ("wait", "cooldown_counter", "best")
ORDER, AUGMENTATION = 0, 1
"""Streams of random numbers that a trial's seed and an epoch are joined with."""


class NotFiniteError(ArithmeticError):
    """The loss has become NaN or infinite."""


class Fit:
    """A network in training; `history` holds its epochs so far, the restored ones too."""

    def __init__(self, task: Task, data: PreparedSet) -> None:
        keras.utils.set_random_seed(task.seed)
        self.task = task
        self.data = data
        self.config = Config.from_json(task.config)
        self.history: list[EpochRow] = []
        self.batch_size = min(self.config.batch_size, len(data.labels("train")))
        self.model = build_model(
            self.config,
            data.image_shape,
            data.n_classes,
            seed=task.seed,
            mean=data.mean,
            std=data.std,
        )
        optimizer = build_optimizer(self.config)
        _skip_all_reduce(optimizer)
        self.model.compile(
            optimizer=optimizer,
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        optimizer.build(self.model.trainable_variables)
        self._start_callbacks()
        self._restore()

    @property
    def goes_on(self) -> bool:
        """Whether there is another epoch to train."""
        return not self.model.stop_training and len(self.history) < self.task.max_epochs

    def run_epoch(self) -> EpochRow:
        """Trains and validates one epoch, and saves the checkpoint.

        Raises:
            NotFiniteError: If the loss is not a finite number any more.
        """
        started = time.perf_counter()
        epoch = len(self.history) + 1
        train = self._train(epoch)
        val_loss, val_accuracy = self._validate()
        learning_rate = float(self.model.optimizer.learning_rate)
        logs = {"val_loss": val_loss, "val_accuracy": val_accuracy}
        self.stopper.on_epoch_end(epoch - 1, logs)
        self.plateau.on_epoch_end(epoch - 1, dict(logs))
        row = EpochRow(
            epoch=epoch,
            train_loss=train["loss"],
            train_accuracy=train["accuracy"],
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=learning_rate,
            seconds=time.perf_counter() - started,
            memory_mb=psutil.Process().memory_info().rss / 2**20,
        )
        self.history.append(row)
        self._save()
        return row

    def finish(self) -> Finished:
        """Puts the best weights back and measures them on the validation split."""
        from sklearn.metrics import balanced_accuracy_score, roc_auc_score

        self.model.set_weights(self.stopper.best_weights)
        labels = self.data.labels("val")
        probabilities = self._predict("val").astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        scores = probabilities[:, 1] if self.data.n_classes == 2 else probabilities
        classes = range(self.data.n_classes)
        metrics = {
            "best_epoch": self.stopper.best_epoch + 1,
            "epochs": len(self.history),
            "seconds": sum(row.seconds for row in self.history),
            "parameters": self.model.count_params(),
            "val_loss": self.history[self.stopper.best_epoch].val_loss,
            "balanced_accuracy": float(
                balanced_accuracy_score(labels, probabilities.argmax(axis=1))
            ),
            "macro_auc": float(
                roc_auc_score(labels, scores, multi_class="ovr", average="macro", labels=classes)
            ),
        }
        return Finished(value=float(self.stopper.best), metrics=metrics)

    def _train(self, epoch: int) -> dict[str, float]:
        """Trains on whole batches; the images left over differ from epoch to epoch."""
        images, labels = self._draw_epoch(epoch)
        self.model.reset_metrics()
        logs: dict[str, float] = {}
        for start in range(0, len(labels), self.batch_size):
            batch = slice(start, start + self.batch_size)
            logs = self.model.train_on_batch(images[batch], labels[batch], return_dict=True)
            if not math.isfinite(logs["loss"]):
                raise NotFiniteError(f"The loss became {logs['loss']} in epoch {epoch}.")
        return {name: float(value) for name, value in logs.items()}

    def _draw_epoch(self, epoch: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labels = self.data.labels("train")
        order = np.random.default_rng((self.task.seed, ORDER, epoch)).permutation(len(labels))
        order = order[: len(labels) // self.batch_size * self.batch_size]
        images = self.data.images("train")[order]
        if self.config.augmentation:
            rng = np.random.default_rng((self.task.seed, AUGMENTATION, epoch))
            images = augment(images, rng)
        return images, labels[order]

    def _validate(self) -> tuple[float, float]:
        """Measures cross-entropy, without the regularizer's penalty, and accuracy."""
        labels = self.data.labels("val")
        probabilities = self._predict("val")
        if not np.isfinite(probabilities).all():
            raise NotFiniteError("The network's answers became NaN.")
        likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        loss = -np.log(np.maximum(likelihood, keras.config.epsilon())).mean()
        return float(loss), float((probabilities.argmax(axis=1) == labels).mean())

    def _predict(self, split: str) -> NDArray[np.float32]:
        """Predicts in batches of one size, the last one filled up: one shape, one trace."""
        images = self.data.images(split)
        size = self.batch_size
        parts = []
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            missing = size - len(batch)
            padded = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else batch
            parts.append(self.model.predict_on_batch(padded)[: len(batch)])
        return np.concatenate(parts)

    def _start_callbacks(self) -> None:
        self.stopper = keras.callbacks.EarlyStopping(
            monitor="val_accuracy",
            mode="max",
            patience=self.task.patience,
            restore_best_weights=True,
        )
        self.plateau = keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            mode="min",
            factor=self.task.plateau_factor,
            patience=self.task.plateau_patience,
            min_lr=self.task.min_learning_rate,
        )
        self.model.stop_training = False
        for callback in (self.stopper, self.plateau):
            callback.set_model(self.model)
            callback.on_train_begin()

    def _save(self) -> None:
        arrays = {
            **_name_arrays("model", [v.numpy() for v in self.model.variables]),
            **_name_arrays("optimizer", [v.numpy() for v in self.model.optimizer.variables]),
            **_name_arrays("best", self.stopper.best_weights),
        }
        state = {
            "task": _identity(self.task),
            "history": [asdict(row) for row in self.history],
            "stop": bool(self.model.stop_training),
            "stopper": {name: getattr(self.stopper, name) for name in STOPPER_STATE},
            "plateau": {name: getattr(self.plateau, name) for name in PLATEAU_STATE},
        }
        write_checkpoint(Path(self.task.checkpoint), Checkpoint(arrays, state))

    def _restore(self) -> None:
        """Goes on from the checkpoint, if there is a whole one of this very task."""
        checkpoint = load_checkpoint(Path(self.task.checkpoint))
        if checkpoint is None or checkpoint.state.get("task") != _identity(self.task):
            return
        for variable, array in zip(
            self.model.variables, _list_arrays(checkpoint, "model"), strict=True
        ):
            variable.assign(array)
        for variable, array in zip(
            self.model.optimizer.variables, _list_arrays(checkpoint, "optimizer"), strict=True
        ):
            variable.assign(array)
        self.stopper.best_weights = _list_arrays(checkpoint, "best")
        for callback, name in ((self.stopper, "stopper"), (self.plateau, "plateau")):
            for key, value in checkpoint.state[name].items():
                setattr(callback, key, value)
        self.model.stop_training = checkpoint.state["stop"]
        self.history = [EpochRow(**row) for row in checkpoint.state["history"]]


def _skip_all_reduce(optimizer: keras.optimizers.Optimizer) -> None:
    """Leaves out the sum of gradients over replicas, of which there is one.

    The sum registers a custom gradient that TensorFlow never forgets, and with it the whole
    graph of the network: 16 MB a network, which no `clear_session` gives back.
    """
    optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars


def _identity(task: Task) -> dict[str, Any]:
    """What a checkpoint must agree on; where the files lie may change."""
    values = asdict(task)
    del values["data"], values["checkpoint"]
    return values


def _name_arrays(group: str, arrays: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{group}/{index:04}": array for index, array in enumerate(arrays)}


def _list_arrays(checkpoint: Checkpoint, group: str) -> list[NDArray[Any]]:
    names = sorted(name for name in checkpoint.arrays if name.startswith(f"{group}/"))
    return [checkpoint.arrays[name] for name in names]
