"""Fixtures for the tests of `spaces`: a space, small configs, layers that count cost, images."""

import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces import Config, SearchSpace
from spaces.cost.cost_layers import CostLayers
from spaces.models import Layers
from spaces.network_settings import LayerSettings, Regularizer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

SMALL_HEAD: dict[str, object] = {"dense_layers": 1, "units": 32, "batch_size": 16}
SMALL: dict[str, dict[str, object]] = {
    "plain": {
        "stages": 2,
        "convs": 1,
        "channels": 8,
        "kernel_size": 3,
        "pool": True,
        "pool_size": 2,
    },
    "vgg": {"vgg_blocks": 2, "vgg_convs": 2, "vgg_width": 8},
    "inception": {"inception_stages": 2, "inception_blocks": 1, "inception_width": 16},
    "residual": {"residual_stages": 2, "residual_blocks": 2, "residual_width": 8},
    "dense": {"densenet_blocks": 2, "densenet_layers": 2, "densenet_growth_rate": 4},
}


@pytest.fixture(scope="session")
def small_config() -> Callable[..., Config]:
    """Draw a small config of a family with some values fixed."""

    def draw(family: str = "plain", **fixed: object) -> Config:
        narrowed = SMALL_HEAD | SMALL[family] | fixed
        return SearchSpace.create([family], narrowed).random_config(random.Random(0))

    return draw


def make_settings(*, normalized: bool = False) -> LayerSettings:
    return LayerSettings("he_normal", "he_normal", "relu", normalized, 0.0, Regularizer())


@pytest.fixture(scope="session")
def cost_layers() -> Callable[..., CostLayers]:
    """Make layers that count cost, with or without batch normalization."""
    return lambda *, normalized=False: CostLayers(make_settings(normalized=normalized))


Block = Callable[[Any, Layers[Any]], Any]


@pytest.fixture(scope="session")
def block_model() -> Callable[..., Any]:
    """Make a Keras model of a single block."""

    def build(block: Block, shape: tuple[int, int, int], *, normalized: bool = False) -> Any:
        import keras

        from spaces.keras_models.layers import KerasLayers

        x = keras.Input(shape)
        layers = KerasLayers(make_settings(normalized=normalized), seed=0)
        return keras.Model(x, block(x, layers))

    return build


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Sixteen grey images of 16×16 pixels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (16, 16, 16, 1)).astype("float32")


@pytest.fixture(scope="session")
def plain_space() -> SearchSpace:
    """The whole space of the family `plain`, as without a study file."""
    return SearchSpace.create(["plain"])
