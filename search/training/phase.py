"""One phase of a fit: a network, what it is fed, its optimizer, early stopping and plateaus."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from search.trainer.protocol import Confusion, Task

EARLY_STOPPING_STATE = ("wait", "stopped_epoch", "best", "best_epoch")
PLATEAU_STATE = ("wait", "cooldown_counter", "best")

Batch = tuple[NDArray[Any], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Validation:
    """What a network's answers on the validation split come to.

    `confusion` counts them, a row for each true class and a column for each answer.
    """

    loss: float
    accuracy: float
    confusion: Confusion


class NotFiniteError(ArithmeticError):
    """The loss has become NaN or infinite."""


class Feed(Protocol):
    """What a phase trains and validates on, in the form that its network takes.

    `batch_size` is that of every batch; the images left over differ from epoch to epoch.
    """

    batch_size: int

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Training batches of an epoch: a function of the trial's seed and the epoch alone."""

    def validation(self) -> Batch:
        """All of the validation split."""


class Phase:
    """A network in training, from its first epoch to the one after which it stops itself.

    `number` is 1, or 2 for fine-tuning.
    """

    def __init__(
        self,
        number: int,
        model: keras.Model,
        feed: Feed,
        optimizer: keras.optimizers.Optimizer,
        task: Task,
    ) -> None:
        self.number = number
        self.model = model
        self.feed = feed
        self._max_epochs = task.max_epochs
        self._n_epochs = 0
        _skip_all_reduce(optimizer)
        model.compile(
            optimizer=optimizer,
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        optimizer.build(model.trainable_variables)
        self._start_callbacks(task)

    @property
    def is_over(self) -> bool:
        """Whether it has stopped itself or trained its epochs."""
        return self.model.stop_training or self._n_epochs >= self._max_epochs

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate now."""
        return float(self.model.optimizer.learning_rate)

    def train(self, epoch: int) -> dict[str, float]:
        """Train on the batches of an epoch, and return `loss` and `accuracy` over its images.

        Keras begins its metrics anew with each call, so the means are ours.

        Raises:
            NotFiniteError: If the loss is not a finite number any more.
        """
        sums, n_images = {"loss": 0.0, "accuracy": 0.0}, 0
        for inputs, labels in self.feed.batches(epoch):
            logs = self.model.train_on_batch(inputs, labels, return_dict=True)
            if not math.isfinite(logs["loss"]):
                raise NotFiniteError(f"The loss became {logs['loss']} in epoch {epoch}.")
            n_images += len(labels)
            for name in sums:
                sums[name] += len(labels) * float(logs[name])
        return {name: total / n_images for name, total in sums.items()}

    def validate(self) -> Validation:
        """Measure cross-entropy, without the regularizer's penalty, accuracy and confusion.

        Raises:
            NotFiniteError: If an answer of the network is not a finite number.
        """
        _, labels = self.feed.validation()
        probabilities = self.predict()
        if not np.isfinite(probabilities).all():
            raise NotFiniteError("The network's answers became NaN.")
        likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        loss = -np.log(np.maximum(likelihood, keras.config.epsilon())).mean()
        predictions, n_classes = probabilities.argmax(axis=1), probabilities.shape[1]
        counts = np.bincount(labels * n_classes + predictions, minlength=n_classes**2)
        return Validation(
            loss=float(loss),
            accuracy=float((predictions == labels).mean()),
            confusion=tuple(tuple(map(int, row)) for row in counts.reshape(n_classes, -1)),
        )

    def predict(self) -> NDArray[np.float32]:
        """Class probabilities of the validation split, shape `(n, n_classes)`."""
        inputs, _ = self.feed.validation()
        return predict_in_batches(self.model, inputs, self.feed.batch_size)

    def end_epoch(self, val_loss: float, val_accuracy: float) -> None:
        """Let early stopping and the plateau's reduction of the learning rate act."""
        logs = {"val_loss": val_loss, "val_accuracy": val_accuracy}
        self._early_stopping.on_epoch_end(self._n_epochs, logs)
        self._plateau.on_epoch_end(self._n_epochs, dict(logs))
        self._n_epochs += 1

    def trained_state(self) -> dict[str, NDArray[Any]]:
        """Everything of the network that training changes, by layer and position.

        The states of seed generators are in it, a frozen backbone's weights are not.
        """
        return {
            name: variable.numpy() for name, variable in _trained_variables(self.model).items()
        }

    def assign(self, trained_state: Mapping[str, NDArray[Any]]) -> None:
        """Assign `trained_state` to the network; what it does not name stays as it is."""
        assign(self.model, trained_state)

    def optimizer_arrays(self) -> list[NDArray[Any]]:
        """The optimizer's variables."""
        return [variable.numpy() for variable in self.model.optimizer.variables]

    def state(self) -> dict[str, Any]:
        """Counters of early stopping and plateaus, as JSON values."""
        return {
            "n_epochs": self._n_epochs,
            "stop": bool(self.model.stop_training),
            "stopper": {
                name: getattr(self._early_stopping, name) for name in EARLY_STOPPING_STATE
            },
            "plateau": {name: getattr(self._plateau, name) for name in PLATEAU_STATE},
        }

    def restore(self, optimizer_arrays: list[NDArray[Any]], state: Mapping[str, Any]) -> None:
        """Put back what `optimizer_arrays` and `state` gave."""
        for variable, array in zip(self.model.optimizer.variables, optimizer_arrays, strict=True):
            variable.assign(array)
        self._n_epochs = state["n_epochs"]
        for callback, name in ((self._early_stopping, "stopper"), (self._plateau, "plateau")):
            for key, value in state[name].items():
                setattr(callback, key, value)
        self.model.stop_training = state["stop"]

    def _start_callbacks(self, task: Task) -> None:
        self._early_stopping = keras.callbacks.EarlyStopping(
            monitor="val_accuracy", mode="max", patience=task.patience
        )
        self._plateau = keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            mode="min",
            factor=task.plateau_factor,
            patience=task.plateau_patience,
            min_lr=task.min_learning_rate,
        )
        self.model.stop_training = False
        for callback in (self._early_stopping, self._plateau):
            callback.set_model(self.model)
            callback.on_train_begin()


def assign(model: keras.Model, trained_state: Mapping[str, NDArray[Any]]) -> None:
    """Put what a phase has learned into a network, be it of another phase."""
    variables = _trained_variables(model)
    for name, array in trained_state.items():
        if name in variables:
            variables[name].assign(array)


def predict_in_batches(
    model: keras.Model, inputs: NDArray[Any], batch_size: int
) -> NDArray[np.float32]:
    """A network's answers, in batches of one size, the last filled up: one shape, one trace."""
    parts = []
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        missing = ((0, batch_size - len(batch)), *((0, 0),) * (inputs.ndim - 1))
        padded = np.pad(batch, missing) if len(batch) < batch_size else batch
        parts.append(model.predict_on_batch(padded)[: len(batch)])
    return np.concatenate(parts)


def _trained_variables(model: keras.Model) -> dict[str, keras.Variable]:
    found = {}
    for layer in model.layers:
        is_backbone = isinstance(layer, keras.Model)
        for position, variable in enumerate(layer.variables):
            if variable.trainable or not is_backbone:
                found[f"{layer.name}/{position}"] = variable
    return found


def _skip_all_reduce(optimizer: keras.optimizers.Optimizer) -> None:
    """Leave out the sum of gradients over replicas, of which there is one.

    The sum registers a custom gradient that TensorFlow never forgets, and with it the whole
    graph of the network: 16 MB a network, which no `clear_session` gives back.
    """
    optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
