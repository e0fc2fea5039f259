"""One phase of a fit: a network, its input, its optimizer and its callbacks."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from search.trainer.protocol import Confusion, Task
from search.training.callbacks import PhaseCallbacks

Batch = tuple[NDArray[Any], NDArray[np.int64]]
TrainingBatch = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float32] | None]
"""Inputs, labels, and weights in the loss, None if all are the same."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Measures of a network's predictions on the validation split."""

    loss: float
    accuracy: float
    confusion: Confusion


class NotFiniteError(ArithmeticError):
    """A loss or a prediction is NaN or infinite."""


class Feed(Protocol):
    """The data that a phase trains and validates on, in the form of its network's input.

    All batches have `batch_size` images; the ones left over differ from epoch to epoch.
    """

    batch_size: int

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the training batches of an epoch, which depend on the seed and the epoch only."""

    def validation(self) -> Batch:
        """Return the whole validation split."""


class Phase:
    """A network in training; its `number` is 1, or 2 for fine-tuning."""

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
        self._callbacks = PhaseCallbacks(model, task)

    @property
    def is_over(self) -> bool:
        """Whether it was stopped early or has trained all its epochs."""
        return self.model.stop_training or self._n_epochs >= self._max_epochs

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""
        return float(self.model.optimizer.learning_rate)

    def train(self, epoch: int) -> dict[str, float]:
        """Train on the batches of an epoch, and return `loss` and `accuracy` over its images.

        Keras resets its metrics with each call, so the means are computed here. Weights change the
        loss only.

        Raises:
            NotFiniteError: If the loss becomes NaN or infinite.
        """
        sums, n_images = {"loss": 0.0, "accuracy": 0.0}, 0
        for inputs, labels, weights in self.feed.batches(epoch):
            logs = self.model.train_on_batch(
                inputs, labels, sample_weight=weights, return_dict=True
            )
            if not math.isfinite(logs["loss"]):
                raise NotFiniteError(f"The loss became {logs['loss']} in epoch {epoch}.")
            n_images += len(labels)
            for name in sums:
                sums[name] += len(labels) * float(logs[name])
        return {name: total / n_images for name, total in sums.items()}

    def validate(self) -> Validation:
        """Return cross-entropy without the regularizer's penalty, accuracy and confusion.

        Raises:
            NotFiniteError: If a prediction is not a finite number.
        """
        _, labels = self.feed.validation()
        probabilities = self.predict()
        if not np.isfinite(probabilities).all():
            raise NotFiniteError("The network's predictions became NaN.")
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
        """Return class probabilities of the validation split, shape `(n, n_classes)`."""
        inputs, _ = self.feed.validation()
        return predict_in_batches(self.model, inputs, self.feed.batch_size)

    def end_epoch(self, val_loss: float, val_accuracy: float) -> None:
        """Apply early stopping and the schedule of the learning rate."""
        self._callbacks.end_epoch(self._n_epochs, val_loss, val_accuracy)
        self._n_epochs += 1

    def trained_state(self) -> dict[str, NDArray[Any]]:
        """Return all variables that training changes, by layer and position.

        They include the states of seed generators, but not the weights of a frozen backbone.
        """
        return {
            name: variable.numpy() for name, variable in _trained_variables(self.model).items()
        }

    def optimizer_arrays(self) -> list[NDArray[Any]]:
        """Return the optimizer's variables."""
        return [variable.numpy() for variable in self.model.optimizer.variables]

    def state(self) -> dict[str, Any]:
        """Return the counters of the phase and its callbacks as JSON values."""
        return {
            "n_epochs": self._n_epochs,
            "stop": bool(self.model.stop_training),
            **self._callbacks.state(),
        }

    def restore(self, optimizer_arrays: list[NDArray[Any]], state: Mapping[str, Any]) -> None:
        """Restore what `optimizer_arrays` and `state` returned."""
        for variable, array in zip(self.model.optimizer.variables, optimizer_arrays, strict=True):
            variable.assign(array)
        self._n_epochs = state["n_epochs"]
        self._callbacks.restore(state)
        self.model.stop_training = state["stop"]


def assign_state(model: keras.Model, trained_state: Mapping[str, NDArray[Any]]) -> None:
    """Assign a phase's `trained_state` to a network, which may be that of another phase.

    Variables that the state does not name keep their values.
    """
    variables = _trained_variables(model)
    for name, array in trained_state.items():
        if name in variables:
            variables[name].assign(array)


def predict_in_batches(
    model: keras.Model, inputs: NDArray[Any], batch_size: int
) -> NDArray[np.float32]:
    """Predict in batches of one size, the last one padded, so that the network is traced once."""
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
    """Skip the sum of gradients over replicas, of which there is one.

    The sum registers a custom gradient that TensorFlow never releases, and with it the whole
    graph of the network: 16 MB for each network, which `clear_session` does not free.
    """
    optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
