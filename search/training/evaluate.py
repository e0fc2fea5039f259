"""A trained network, rebuilt from its record with the best weights of its checkpoint."""

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from search.data import PreparedSet
from search.trainer.predictions import SplitPredictions
from search.trainer.protocol import Evaluate, Evaluated, Task
from search.training.checkpoint import load_checkpoint_of
from search.training.grad_cam import choose_images, heat_maps
from search.training.phase import NotFiniteError, assign_state, predict_in_batches
from search.training.phase_plan import build_full_model
from spaces import Config


class NoWeightsError(Exception):
    """A trial's best weights cannot be loaded: its checkpoint is missing, damaged or another's."""


def rebuild(task: Task, data: PreparedSet) -> keras.Model:
    """Return the whole network of a trial, from raw pixels, as it was in its best epoch.

    Raises:
        NoWeightsError: If the checkpoint cannot be read, or is another task's.
        SpaceError: If the weights of its backbone have changed.
    """
    checkpoint = load_checkpoint_of(task)
    if checkpoint is None:
        path = task.resume_from or task.checkpoint
        raise NoWeightsError(f"{path} does not hold the weights of this trial.")
    config = Config.from_json(task.config)
    model = build_full_model(task, config, data)
    assign_state(model, checkpoint.group("best"))
    return model


def evaluate(request: Evaluate, data: PreparedSet) -> Evaluated:
    """Predict with a trained network, save it, or both."""
    model = rebuild(request.task, data)
    predictions = _predict_split(model, request, data) if request.predictions else None
    try:
        if predictions is not None:
            Path(request.predictions).write_bytes(predictions.to_bytes())
        if request.model:
            model.save(request.model)
    except OSError as error:
        return Evaluated(0, write_error=error.strerror or str(error))
    return Evaluated(0 if predictions is None else len(predictions.labels))


def _predict_split(model: keras.Model, request: Evaluate, data: PreparedSet) -> SplitPredictions:
    """Predict a split, and compute the heat maps of some of its images."""
    images, labels = data.images(request.split), np.array(data.labels(request.split))
    batch_size = min(Config.from_json(request.task.config).batch_size, data.counts["train"])
    probabilities = predict_probabilities(model, images, batch_size)
    chosen = choose_images(probabilities, labels)
    heat = heat_maps(model, images[chosen], probabilities[chosen].argmax(axis=1))
    if heat is None:
        chosen, heat = chosen[:0], np.zeros((0, *images.shape[1:3]), np.uint8)
    return SplitPredictions(request.split, labels, probabilities, chosen, heat)


def predict_probabilities(
    model: keras.Model, images: NDArray[np.uint8], batch_size: int
) -> NDArray[np.float64]:
    """Return the class probabilities of raw pixels, `(n, n_classes)`; each row adds up to 1.

    Raises:
        NotFiniteError: If a prediction is not a finite number.
    """
    predictions = predict_in_batches(model, images, batch_size).astype(np.float64)
    if not np.isfinite(predictions).all():
        raise NotFiniteError("The network's predictions are not finite numbers.")
    probabilities: NDArray[np.float64] = predictions / predictions.sum(axis=1, keepdims=True)
    return probabilities
