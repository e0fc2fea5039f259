"""Early stopping and ReduceLROnPlateau: callbacks of a phase, and their saved state."""

from collections.abc import Mapping
from typing import Any

import keras

from search.trainer.protocol import Task

STATE = {
    "stopper": ("wait", "stopped_epoch", "best", "best_epoch"),
    "plateau": ("wait", "cooldown_counter", "best"),
}
"""The attributes of each callback that a checkpoint keeps; most are undocumented in Keras."""


class PhaseCallbacks:
    """Early stopping on validation accuracy, and a lower learning rate on plateaus of the loss."""

    def __init__(self, model: keras.Model, task: Task) -> None:
        self._callbacks = {
            "stopper": keras.callbacks.EarlyStopping(
                monitor="val_accuracy", mode="max", patience=task.patience
            ),
            "plateau": keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss",
                mode="min",
                factor=task.plateau_factor,
                patience=task.plateau_patience,
                min_lr=task.min_learning_rate,
            ),
        }
        model.stop_training = False
        for callback in self._callbacks.values():
            callback.set_model(model)
            callback.on_train_begin()

    def end_epoch(self, epoch: int, val_loss: float, val_accuracy: float) -> None:
        """Stop the training or lower the learning rate if due after an epoch, counted from 0."""
        for callback in self._callbacks.values():
            callback.on_epoch_end(epoch, {"val_loss": val_loss, "val_accuracy": val_accuracy})

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the counters of both as JSON values."""
        return {
            name: {key: getattr(self._callbacks[name], key) for key in keys}
            for name, keys in STATE.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        for name, callback in self._callbacks.items():
            for key, value in state[name].items():
                setattr(callback, key, value)
