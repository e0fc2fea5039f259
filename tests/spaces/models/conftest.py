"""What the tests of networks share: configs by narrowing, and a few images."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from spaces import Config, SearchSpace

SMALL: dict[str, object] = {
    "stages": 2,
    "convs": 1,
    "channels": 8,
    "kernel_size": 3,
    "pool": True,
    "pool_size": 2,
    "dense_layers": 1,
    "units": 32,
    "batch_size": 16,
}


@pytest.fixture
def small_config() -> Callable[..., Config]:
    """Draws a small config with some values fixed."""

    def draw(**fixed: object) -> Config:
        return SearchSpace.create(["plain"], SMALL | fixed).random_config(random.Random(0))

    return draw


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Sixteen grey images of 16×16 pixels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (16, 16, 16, 1)).astype("float32")
