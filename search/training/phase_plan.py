"""The phases of a config: one for the whole network, or first the head and then fine-tuning."""

from dataclasses import replace
from pathlib import Path

import keras

from search.data import PreparedSet
from search.trainer.protocol import Task
from search.training.feature_cache import N_PASSES, Features, OnProgress
from search.training.inputs import FeatureFeed, PixelFeed
from search.training.phase import Phase
from spaces import Config, SpaceError
from spaces.families import find_family
from spaces.keras_models import build_head, build_model, build_optimizer
from spaces.models.backbones import RANDOM_WEIGHTS, Weights
from spaces.models.transfer import TransferNetwork


def count_phases(config: Config) -> int:
    """Return the number of phases that a config is trained in: 1 or 2."""
    return find_family(config.family).n_phases


def make_phase(
    number: int, task: Task, config: Config, data: PreparedSet, on_progress: OnProgress
) -> Phase:
    """Make a phase before its first epoch."""
    if not isinstance(config.network, TransferNetwork):
        return _make_full_phase(number, task, config, data)
    weights = _read_weights(task)
    if number == 1:
        features = Features(
            Path(task.features), data, config.network.backbone, weights, on_progress
        )
        return _make_head(task, config, data, features)
    fine_tuning_config = _with_fine_tuning_rate(config, config.network)
    return _make_full_phase(number, task, fine_tuning_config, data, weights)


def _read_weights(task: Task) -> Weights:
    """Return the study's weights; raise a `SpaceError` if the file has changed."""
    record = task.weights
    if record is None:
        return RANDOM_WEIGHTS
    weights = Weights(record["source"], record["mode"])
    if weights.digest() != record["digest"]:
        raise SpaceError(f"The weights at {weights.source} are not those of the study any more.")
    return weights


def _make_full_phase(
    number: int, task: Task, config: Config, data: PreparedSet, weights: Weights = RANDOM_WEIGHTS
) -> Phase:
    """Make a phase of the whole network on pixels, with a new optimizer."""
    model = _build(task, config, data, weights)
    feed = PixelFeed(data, task.seed, config.batch_size, augmentation=config.augmentation)
    return Phase(number, model, feed, build_optimizer(config), task)


def build_full_model(task: Task, config: Config, data: PreparedSet) -> keras.Model:
    """Build the whole network of a trial, which takes raw pixels, before its first epoch."""
    is_transfer = isinstance(config.network, TransferNetwork)
    return _build(task, config, data, _read_weights(task) if is_transfer else RANDOM_WEIGHTS)


def _build(task: Task, config: Config, data: PreparedSet, weights: Weights) -> keras.Model:
    return build_model(
        config,
        data.image_shape,
        data.n_classes,
        seed=task.seed,
        mean=data.mean,
        std=data.std,
        weights=weights,
    )


def _make_head(task: Task, config: Config, data: PreparedSet, features: Features) -> Phase:
    """Make a phase of a new head on the features of the frozen backbone."""
    numbers = range(1, N_PASSES + 1) if config.augmentation else (0,)
    passes = [features.maps("train", number) for number in numbers]
    validation = features.maps("val")
    height, width, channels = validation.shape[1:]
    model = build_head(config, (height, width, channels), data.n_classes, seed=task.seed)
    feed = FeatureFeed(passes, validation, data, task.seed, config.batch_size)
    return Phase(1, model, feed, build_optimizer(config), task)


def _with_fine_tuning_rate(config: Config, network: TransferNetwork) -> Config:
    rate = config.optimizer.learning_rate * network.fine_tuning_rate
    return replace(config, optimizer=replace(config.optimizer, learning_rate=rate))
