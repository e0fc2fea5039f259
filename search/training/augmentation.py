"""Augmentation as a function of its seed: flip, rotation, shift, zoom, contrast, brightness.

The ranges keep lesions recognizable. There is no vertical flip: organs are rarely upside down.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MAX_ROTATION = math.radians(10)
MAX_SHIFT = 0.08  # As a share of the image's side.
MAX_ZOOM = 0.1
MAX_CONTRAST = 0.15
MAX_BRIGHTNESS = 12.0  # In pixel units of 0 to 255.
CHUNK = 256  # Images per call, which bounds the memory for their floats.


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How each of some images is changed; it takes 48 bytes an image.

    Attributes:
        transforms: Affine maps, as `_draw_transforms` returns them.
        gain: Factors of the contrast, shape `(n, 1, 1, 1)`.
        offset: What is added to the brightness, shape `(n, 1, 1, 1)`.
    """

    transforms: NDArray[np.float32]
    gain: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def draw(cls, n: int, shape: tuple[int, int], rng: np.random.Generator) -> Self:
        """Draw the changes of `n` images of `(height, width)`."""
        return cls(
            _draw_transforms(n, shape, rng),
            rng.uniform(1 - MAX_CONTRAST, 1 + MAX_CONTRAST, (n, 1, 1, 1)),
            rng.uniform(-MAX_BRIGHTNESS, MAX_BRIGHTNESS, (n, 1, 1, 1)),
        )

    def apply(self, images: NDArray[np.uint8], start: int = 0) -> NDArray[np.uint8]:
        """Return changed images, shape `(n, height, width, channels)`.

        Equal changes give equal results, bit for bit on one kind of processor.

        Args:
            images: The images to change.
            start: The place of the first of them among all for which changes were drawn.
        """
        import keras

        changed = np.empty_like(images)
        for first in range(0, len(images), CHUNK):
            chunk = images[first : first + CHUNK]
            part = slice(start + first, start + first + len(chunk))
            moved = keras.ops.image.affine_transform(
                chunk.astype(np.float32),
                self.transforms[part],
                interpolation="bilinear",
                fill_mode="nearest",
            )
            lit = keras.ops.convert_to_numpy(moved) * self.gain[part] + self.offset[part]
            changed[first : first + CHUNK] = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
        return changed


def augment(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the images, shape `(n, height, width, channels)`, each transformed at random."""
    height, width = images.shape[1:3]
    return Augmentation.draw(len(images), (height, width), rng).apply(images)


def _draw_transforms(
    n: int, shape: tuple[int, int], rng: np.random.Generator
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
