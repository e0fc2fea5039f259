"""Conversion of decoded images to square uint8 pixels: color and resizing."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.data.near_duplicates import SIDE
from search.data.pixel_values import (
    LARGEST_8_BIT,
    OWN,
    check_finite,
    row_strips,
    scale,
    to_uint8,
)
from search.data.settings import Fit
from search.data.source_api import ImageInfo, Images

COLOR_TOLERANCE = 8
"""Difference of channels, of 255, up to which an image is grey: JPEG changes a few levels."""
FEW_LEVELS = 64
SIMILAR_SHAPES = 1.05
"""Ratio of the largest to the smallest aspect ratio up to which images have one shape."""


def inspect_pixels(pixels: NDArray[Any]) -> ImageInfo:
    """Describe decoded pixels of shape `(height, width)` or `(height, width, 3)`."""
    pixels = drop_equal_channels(pixels)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    digest = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    height, width = pixels.shape[:2]
    check_finite(pixels)
    levels = _stretch_if_dark(pixels) if pixels.dtype == np.uint8 else to_uint8(pixels, OWN)
    info = ImageInfo(
        digest.digest(),
        width,
        height,
        has_color(pixels),
        thumbnail=_thumbnail(levels),
    )
    if pixels.dtype == np.uint8:
        return info
    low, high = float(pixels.min()), float(pixels.max())
    return info._replace(pixel_type=pixels.dtype.name, low=low, high=high)


def _thumbnail(levels: NDArray[np.uint8]) -> bytes:
    """Return the bytes of `resize(to_grey(levels), SIDE)`, without an array in between."""
    grey = to_grey(levels)
    if grey.shape == (SIDE, SIDE):
        return grey.tobytes()
    image = Image.fromarray(np.ascontiguousarray(grey))
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()


def _stretch_if_dark(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale pixels of few levels, whose thumbnail would show nothing."""
    low, high = int(pixels.min()), int(pixels.max())
    return scale(pixels, (low, high)) if high - low < FEW_LEVELS else pixels


def drop_equal_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Reduce a grey image stored as color to `(height, width)`; others are unchanged."""
    if pixels.ndim == 3 and all(
        (pixels[rows] == pixels[rows][..., :1]).all() for rows in row_strips(pixels)
    ):
        return pixels[..., 0]
    return pixels


def has_color(pixels: NDArray[Any]) -> bool:
    """Whether the channels of an image differ by more than `COLOR_TOLERANCE`.

    Of more than 8 bits, by more than this share of the range of its own values.
    """
    if pixels.ndim == 2:
        return False
    tolerance: float = COLOR_TOLERANCE
    if pixels.dtype != np.uint8:
        tolerance *= (float(pixels.max()) - float(pixels.min())) / LARGEST_8_BIT
    for rows in row_strips(pixels):
        strip = pixels[rows]
        if strip.dtype != np.uint8:
            strip = strip.astype(np.float64)  # A difference of signed integers may overflow.
        red, green, blue = np.moveaxis(strip, -1, 0)  # 10 times faster than `max(axis=-1)`.
        highest = np.maximum(np.maximum(red, green), blue)
        lowest = np.minimum(np.minimum(red, green), blue)
        if (highest - lowest > tolerance).any():
            return True
    return False


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weight the channels as the eye does (ITU-R 601); grey is unchanged."""
    if pixels.ndim == 2:
        return pixels
    return np.asarray(Image.fromarray(pixels).convert("L"))


def resize(pixels: NDArray[np.uint8], size: int, fit: Fit = "stretch") -> NDArray[np.uint8]:
    """Make an image `size` × `size` with a triangle filter as wide as the reduction.

    `stretch` changes its proportions, `pad` adds black on two sides, `crop` cuts two sides off.
    Keras' `Resizing(interpolation="bilinear", antialias=True)` uses the same filter: a model with
    its own resizing sees the same pixels in prediction as in training.
    """
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if fit == "pad" and height != width:
        longest = max(height, width)
        inner = max(1, round(size * width / longest)), max(1, round(size * height / longest))
        square = Image.new(image.mode, (size, size))
        corner = (size - inner[0]) // 2, (size - inner[1]) // 2
        square.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
        return np.asarray(square)
    box = (0.0, 0.0, float(width), float(height))
    if fit == "crop":
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        box = left, top, left + side, top + side
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def as_network_input(
    levels: NDArray[np.uint8], size: int, channels: int, fit: Fit, *, as_grey: bool
) -> NDArray[np.uint8]:
    """Return an image of 0 to 255 as networks see it, `(size, size, channels)`."""
    fitted = resize(to_grey(levels) if as_grey else levels, size, fit)
    square: NDArray[np.uint8] = stack([fitted], size, channels)[0]
    return square


def choose_fit(infos: Iterable[ImageInfo]) -> Fit:
    """Return `pad` for images of different shapes, whose proportions stretching would change."""
    ratios = [info.width / info.height for info in infos]
    return "pad" if max(ratios) > SIMILAR_SHAPES * min(ratios) else "stretch"


def stack(pixels: Sequence[NDArray[np.uint8]], size: int, channels: int) -> Images:
    """Stack images of one size; with 3 channels, grey ones are repeated over them."""
    stacked = np.empty((len(pixels), size, size, channels), np.uint8)
    for target, image in zip(stacked, pixels, strict=True):
        target[:] = image[..., None] if image.ndim == 2 else image
    return stacked
