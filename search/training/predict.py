"""Predictions of an exported model on images from a file."""

from collections.abc import Callable

import keras
import numpy as np
from safetensors.numpy import load_file, save_file

from search.trainer.protocol import Predict, Predicted
from search.training.evaluate import predict_probabilities
from search.training.model_check import MAX_MAP, check_model

BATCH_SIZE = 32
PROGRESS_EVERY = 8 * BATCH_SIZE


class WrongShapeError(ValueError):
    """A model's input shape is not the one in its record."""


def predict(request: Predict, on_progress: Callable[[int, int], None]) -> Predicted:
    """Predict images with a model, whose file must have been found safe before.

    Raises:
        WrongShapeError: If the model takes images of another shape.
        NotFiniteError: If a prediction is not a finite number.
        CostlyModelError: If the model needs far more memory than its file has bytes.
        ValueError, OSError: Or another error of Keras, if the model is damaged.
    """
    # Batches are smaller if their largest feature map would be over the limit of one image.
    batch_size = max(1, min(BATCH_SIZE, MAX_MAP // check_model(request.model)))
    model = keras.models.load_model(request.model, safe_mode=True, compile=False)
    images = load_file(request.images)["images"]
    if tuple(model.input_shape[1:]) != images.shape[1:]:
        raise WrongShapeError(
            f"it takes images of {model.input_shape[1:]}, and its record says {images.shape[1:]}"
        )
    parts = []
    for start in range(0, len(images), PROGRESS_EVERY):
        part = images[start : start + PROGRESS_EVERY]
        parts.append(predict_probabilities(model, part, batch_size))
        on_progress(start + len(part), len(images))
    save_file({"probabilities": np.concatenate(parts)}, request.predictions)
    return Predicted(len(images))
