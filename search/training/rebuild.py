"""A trained network again: built from its record, with the best weights of its checkpoint."""

from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import save_file

from search.data import PreparedSet
from search.training.checkpoint import load_checkpoint
from search.training.fit import group, identity
from search.training.phase import assign, predict_in_batches
from search.training.phases import build_whole
from search.training.protocol import Evaluate, Evaluated, Task
from spaces import Config


class NoWeightsError(Exception):
    """The best weights of a trial cannot be had: its checkpoint is gone, broken or another's."""


def rebuild(task: Task, data: PreparedSet) -> keras.Model:
    """Gives the whole network of a trial, from raw pixels, as it was in its best epoch.

    Args:
        task: As it was trained; its checkpoint is the one to read.
        data: The images that it was trained on, whose statistics are in the network.

    Raises:
        NoWeightsError: If the checkpoint cannot be read, or is another task's.
        SpaceError: If the weights of its backbone are others now.
    """
    path = Path(task.goes_on_from or task.checkpoint)
    checkpoint = load_checkpoint(path)
    if checkpoint is None or checkpoint.state.get("task") != identity(task):
        raise NoWeightsError(f"{path} does not hold the weights of this trial.")
    config = Config.from_json(task.config)
    model = build_whole(task, config, data)
    assign(model, group(checkpoint, "best"))
    return model


def evaluate(wish: Evaluate, data: PreparedSet) -> Evaluated:
    """Does what is wished with a trained network.

    Raises:
        NoWeightsError, SpaceError: As `rebuild` does.
    """
    model = rebuild(wish.task, data)
    n_images = 0
    if wish.answers:
        images = data.images(wish.split)
        n_images = len(images)
        batch_size = min(Config.from_json(wish.task.config).batch_size, data.counts["train"])
        answers = predict_in_batches(model, images, batch_size).astype(np.float64)
        answers /= answers.sum(axis=1, keepdims=True)
        save_file({"probabilities": answers}, wish.answers)
    if wish.model:
        model.save(wish.model)
    return Evaluated(n_images)
