"""The statistics that networks normalize pixels with."""

import numpy as np
import pytest

from search.data.statistics import channel_statistics


def test_statistics_are_those_of_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 255, (150, 9, 7, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx(images.mean(axis=(0, 1, 2)))
    assert std == pytest.approx(images.std(axis=(0, 1, 2)))


def test_channel_that_never_varies_can_be_divided_by() -> None:
    images = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    images[::2, ..., 1] = 90
    assert channel_statistics(images) == ((0.0, 45.0, 0.0), (1.0, 45.0, 1.0))
