"""The images of an epoch: a few batches are in memory, and they are the same as all at once."""

import tracemalloc
from itertools import islice
from typing import cast

import numpy as np
import pytest

from search.data import PreparedSet
from search.training.augmentation import augment
from search.training.inputs import AUGMENTATION, PixelFeed, draw_order


class Images:
    """A set of training images."""

    def __init__(self, n: int, side: int) -> None:
        rng = np.random.default_rng(0)
        self.pixels = rng.integers(0, 255, (n, side, side, 1), dtype=np.uint8)
        self.counts = {"train": n}

    def images(self, _split: str) -> np.ndarray:
        return self.pixels

    def labels(self, _split: str) -> np.ndarray:
        return np.arange(len(self.pixels))

    def train_weights(self) -> None:
        return None


def make_feed(data: Images, batch_size: int, *, augmentation: bool) -> PixelFeed:
    return PixelFeed(cast("PreparedSet", data), 3, batch_size, augmentation=augmentation)


@pytest.mark.parametrize("augmentation", [False, True])
@pytest.mark.parametrize("batch_size", [16, 48, 600])
def test_batches_are_those_of_the_whole_epoch(batch_size: int, augmentation: bool) -> None:
    data = Images(1300, 8)
    order = draw_order(1300, 3, 2, batch_size)
    whole = data.pixels[order.ravel()]
    if augmentation:
        whole = augment(whole, np.random.default_rng((3, AUGMENTATION, 2)))
    batches = list(make_feed(data, batch_size, augmentation=augmentation).batches(2))
    assert np.array_equal(np.concatenate([images for images, _, _ in batches]), whole)
    assert np.array_equal([labels for _, labels, _ in batches], order)


@pytest.mark.parametrize("augmentation", [False, True])
def test_epoch_does_not_copy_the_images(augmentation: bool) -> None:
    data = Images(20_000, 32)
    batches = make_feed(data, 32, augmentation=augmentation).batches(1)
    next(batches)  # The first call of TensorFlow makes more than arrays.
    batches = make_feed(data, 32, augmentation=augmentation).batches(1)
    tracemalloc.start()
    try:
        assert len(list(islice(batches, 20))) == 20
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < data.pixels.nbytes / 2
