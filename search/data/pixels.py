"""Conversion of decoded images to square uint8 pixels: color and resizing."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.data.pixel_values import row_strips
from search.data.source_api import ImageInfo, Images

COLOR_TOLERANCE = 8
"""Difference of channels up to which an image counts as grey: color JPEG changes a few levels."""


def inspect_pixels(pixels: NDArray[Any]) -> ImageInfo:
    """Describe decoded pixels of shape `(height, width)` or `(height, width, 3)`."""
    pixels = drop_equal_channels(pixels)
    digest = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    height, width = pixels.shape[:2]
    return ImageInfo(digest.digest(), width, height, has_color(pixels))


def drop_equal_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Reduce a grey image stored as color to `(height, width)`; others are unchanged."""
    if pixels.ndim == 3 and all(
        (pixels[rows] == pixels[rows][..., :1]).all() for rows in row_strips(pixels)
    ):
        return pixels[..., 0]
    return pixels


def has_color(pixels: NDArray[Any]) -> bool:
    """Whether the channels of an image differ by more than `COLOR_TOLERANCE`."""
    if pixels.ndim == 2:
        return False
    for rows in row_strips(pixels):
        red, green, blue = np.moveaxis(pixels[rows], -1, 0)  # 10 times faster than `max(axis=-1)`.
        highest = np.maximum(np.maximum(red, green), blue)
        lowest = np.minimum(np.minimum(red, green), blue)
        if (highest - lowest > COLOR_TOLERANCE).any():
            return True
    return False


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weight the channels as the eye does (ITU-R 601); grey is unchanged."""
    if pixels.ndim == 2:
        return pixels
    return np.asarray(Image.fromarray(pixels).convert("L"))


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Stretch an image to `size` × `size` with a triangle filter as wide as the reduction.

    Keras' `Resizing(interpolation="bilinear", antialias=True)` uses the same filter: a model with
    its own resizing sees the same pixels in prediction as in training.
    """
    if pixels.shape[:2] == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def stack(pixels: Sequence[NDArray[np.uint8]], size: int, channels: int) -> Images:
    """Stack images of one size; with 3 channels, grey ones are repeated over them."""
    stacked = np.empty((len(pixels), size, size, channels), np.uint8)
    for target, image in zip(stacked, pixels, strict=True):
        target[:] = image[..., None] if image.ndim == 2 else image
    return stacked
