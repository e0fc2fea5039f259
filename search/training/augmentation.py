"""Augmentation as a function of its seed: flip, rotation, shift, zoom, contrast, brightness.

The ranges keep lesions recognizable. There is no vertical flip: organs are rarely upside down.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ROTATION = math.radians(10)
MAX_SHIFT = 0.08  # As a share of the image's side.
MAX_ZOOM = 0.1
MAX_CONTRAST = 0.15
MAX_BRIGHTNESS = 12.0  # In pixel units of 0 to 255.
CHUNK = 256  # Images per call, which bounds the memory for their floats.


def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the images, shape `(n, height, width, channels)`, each transformed at random.

    Equal generators give equal results, bit for bit on one kind of processor.
    """
    import keras

    transforms = _draw_transforms(len(images), images.shape[1:3], rng)
    gain = rng.uniform(1 - MAX_CONTRAST, 1 + MAX_CONTRAST, (len(images), 1, 1, 1))
    offset = rng.uniform(-MAX_BRIGHTNESS, MAX_BRIGHTNESS, (len(images), 1, 1, 1))
    changed = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        moved = keras.ops.image.affine_transform(
            images[part].astype(np.float32),
            transforms[part],
            interpolation="bilinear",
            fill_mode="nearest",
        )
        lit = keras.ops.convert_to_numpy(moved) * gain[part] + offset[part]
        changed[part] = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
    return changed


def _draw_transforms(
    n: int, shape: tuple[Any, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw `(n, 8)` affine maps from coordinates in the result to coordinates in the image.

    Row `(a0, a1, a2, b0, b1, b2, 0, 0)` sends `(x, y)` to `(a0 x + a1 y + a2, b0 x + b1 y + b2)`.
    """
    height, width = shape
    angle = rng.uniform(-MAX_ROTATION, MAX_ROTATION, n)
    zoom = rng.uniform(1 - MAX_ZOOM, 1 + MAX_ZOOM, n)
    mirror = rng.choice([-1.0, 1.0], n)
    a0, a1 = np.cos(angle) * zoom * mirror, -np.sin(angle) * zoom
    b0, b1 = np.sin(angle) * zoom * mirror, np.cos(angle) * zoom
    # The center is fixed, up to the shift.
    x, y = (width - 1) / 2, (height - 1) / 2
    a2 = x - a0 * x - a1 * y + rng.uniform(-MAX_SHIFT, MAX_SHIFT, n) * width
    b2 = y - b0 * x - b1 * y + rng.uniform(-MAX_SHIFT, MAX_SHIFT, n) * height
    zeros = np.zeros(n)
    return np.stack([a0, a1, a2, b0, b1, b2, zeros, zeros], axis=1).astype(np.float32)
