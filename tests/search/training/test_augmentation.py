"""Augmentation: the same seed gives the same images."""

import numpy as np
import pytest

from search.training.augmentation import Augmentation, augment

IMAGES = np.random.default_rng(0).integers(0, 255, (300, 12, 12, 3), dtype=np.uint8)


def test_equal_seeds_give_equal_images() -> None:
    one, other = (augment(IMAGES, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, augment(IMAGES, np.random.default_rng(5)))


def test_images_keep_shape_and_kind() -> None:
    changed = augment(IMAGES, np.random.default_rng(0))
    assert (changed.shape, changed.dtype) == (IMAGES.shape, np.uint8)


def test_images_are_changed_alike_in_parts() -> None:
    changes = Augmentation.draw(len(IMAGES), (12, 12), np.random.default_rng(4))
    parts = [changes.apply(IMAGES[start : start + 48], start) for start in range(0, 300, 48)]
    assert np.array_equal(np.concatenate(parts), augment(IMAGES, np.random.default_rng(4)))


def test_object_in_the_middle_stays_in_the_image() -> None:
    image = np.zeros((1, 32, 32, 1), dtype=np.uint8)
    image[0, 13:19, 13:19] = 200
    changed = augment(np.repeat(image, 50, axis=0), np.random.default_rng(1))
    area = (changed[..., 0] > 100).sum(axis=(1, 2))
    assert area.min() >= 0.6 * 36
    assert area.max() <= 1.6 * 36


def test_about_half_of_the_images_are_mirrored() -> None:
    image = np.zeros((200, 32, 32, 1), dtype=np.uint8)
    image[:, :, :16] = 200
    changed = augment(image, np.random.default_rng(1))
    is_mirrored = changed[:, :, 24:].mean(axis=(1, 2, 3)) > changed[:, :, :8].mean(axis=(1, 2, 3))
    assert is_mirrored.mean() == pytest.approx(0.5, abs=0.15)
