"""What a pixel's value means: which values become 0 and 255, in training and in prediction.

One range holds for a whole set, and its model keeps it for the files that it predicts. It is named
by the user as a window, or found from the training images:

- 8-bit images are taken as they are, and so are other whole numbers that are all from 0 to 255;
  within a range that lies from 0 to 255, their numbers count like those of deeper images;
- floats that are all from 0 to 1 are fractions, of which 1 is white;
- anything else is scaled so that the 0.5 and 99.5 percentiles become 0 and 255, and clipped: a few
  hot pixels or padded corners do not take the contrast from all the others.

A set may mix 8-bit and deeper images. The range is that of the deeper ones then. If the user wants
it so, each deeper image has a range of its own, by the same percentiles.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
OWN: Literal["image"] = "image"
"""In place of a range: each image has its own."""
FROM_FILES = "file"
"""In place of a window: that which most training images propose themselves."""
PixelRange = Range | Literal["image"] | None
WINDOWS: Mapping[str, tuple[float, float]] = {
    "lung": (-600, 1500), "bone": (400, 1800), "brain": (40, 80), "soft-tissue": (50, 400),
}  # fmt: skip
"""Center and width of usual windows of computed tomography, in Hounsfield units.

Source: https://radiopaedia.org/articles/windowing-ct
"""
FRACTIONS: Range = (0.0, 1.0)
LARGEST_8_BIT, LARGEST_16_BIT = 255.0, 65535.0
EIGHT_BITS: Range = (0.0, LARGEST_8_BIT)
PERCENTILES = (0.5, 99.5)
MAX_VALUE, LEAST_RANGE = 1e30, 1e-30
"""Beyond these, arithmetic could overflow."""
MAX_SAMPLED = 2**12
"""Pixels of an image from which percentiles are computed, on an even grid."""
STRIP_PIXELS = 2**20
"""Number of pixels that are converted at once: temporary arrays of all would take gigabytes."""


def row_strips(pixels: NDArray[Any]) -> Iterator[slice]:
    """Divide an image into strips of rows, of about `STRIP_PIXELS` pixels."""
    height, width = pixels.shape[:2]
    step = max(1, STRIP_PIXELS // width)
    return (slice(top, top + step) for top in range(0, height, step))


def plain_range(pixel_types: Sequence[str], low: float, high: float) -> Range | None:
    """Return the range of images whose values speak for themselves; None if percentiles decide.

    `pixel_types` are numpy's names, without `uint8`; `low` and `high` are the extremes of all.
    """
    kinds = {np.dtype(name).kind for name in pixel_types}
    if kinds <= {"b", "f"} and low >= 0 and high <= 1:
        return FRACTIONS
    if kinds <= {"i", "u"} and low >= 0 and high <= LARGEST_8_BIT:
        return EIGHT_BITS
    return None


def sample_values(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the values of an image on an even grid, about `MAX_SAMPLED` pixels."""
    height, width = pixels.shape[:2]
    step = max(1, math.ceil(math.sqrt(height * width / MAX_SAMPLED)))
    return pixels[::step, ::step].ravel()


def percentile_range(samples: Sequence[NDArray[Any]]) -> Range:
    """Return the range of images, given some values of each: every image counts the same."""
    values = np.concatenate([it.astype(np.float64) for it in samples])
    weights = np.concatenate([np.full(it.size, 1 / it.size) for it in samples])
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order]) / len(samples)
    places = np.searchsorted(shares, np.array(PERCENTILES) / 100)
    low, high = values[order[np.minimum(places, len(values) - 1)]].tolist()
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def parse_window(text: str) -> Range:
    """Return the range of a window: a name, or `CENTER/WIDTH`.

    Raises:
        ValueError: If it is neither.
    """
    try:
        center, width = WINDOWS.get(text) or map(float, text.split("/"))
    except ValueError:
        center, width = 0.0, 0.0
    low, high = center - width / 2, center + width / 2
    if not is_usable((low, high)):
        raise ValueError(
            f"Expected auto, image, file, {', '.join(WINDOWS)}, or a center and a width above 0,"
            f" such as 40/400. Received: {text!r}."
        )
    return low, high


def is_usable(values: Range) -> bool:
    """Whether a range is one with which arithmetic is safe."""
    low, high = values
    return LEAST_RANGE < high - low < MAX_VALUE and abs(low) < MAX_VALUE


def range_of_file(pixels: NDArray[Any], of_set: PixelRange) -> Range | None:
    """Return the range for one image, given that of its set, or of a model's training images.

    Its values are those of the set where they can be. An 8-bit image of a deeper set was scaled
    by whoever wrote it, so it is taken as it is; 16 bits of fractions are fractions of 65535. For
    a set of 8 bits, a deeper image is scaled by its own smallest and largest value.
    """
    if of_set is None:
        return None if pixels.dtype == np.uint8 else (float(pixels.min()), float(pixels.max()))
    if of_set == OWN:
        if pixels.dtype == np.uint8:
            return None
        low, high = percentile_range([sample_values(pixels)])
        return (low, high) if low < high else (float(pixels.min()), float(pixels.max()))
    if pixels.dtype == np.uint8:
        is_8_bit = of_set[0] >= 0 and of_set[1] <= LARGEST_8_BIT
        return of_set if is_8_bit and of_set != FRACTIONS else None
    if of_set == FRACTIONS and pixels.dtype.kind in "iu":
        return 0.0, LARGEST_16_BIT
    return of_set


def to_uint8(pixels: NDArray[Any], of_set: PixelRange = None) -> NDArray[np.uint8]:
    """Scale an image to 0 to 255; values beyond the range are clipped.

    An image of one value becomes black.

    Raises:
        ValueError: If it holds NaN or infinity.
    """
    check_finite(pixels)
    return scale(pixels, range_of_file(pixels, of_set))


def check_finite(pixels: NDArray[Any]) -> None:
    """Raise `ValueError` if an image holds NaN, infinity, or numbers that nothing measures."""
    if pixels.dtype.kind != "f":
        return
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it holds NaN or infinity")
    if max(-low, high) > MAX_VALUE:
        raise ValueError(f"it holds numbers beyond {MAX_VALUE:g}")


def scale(pixels: NDArray[Any], values: Range | None) -> NDArray[np.uint8]:
    """Scale pixels so that a range becomes 0 to 255, and clip them; None keeps uint8."""
    if values is None:
        return pixels
    low, high = values
    factor = LARGEST_8_BIT / (high - low) if high - low > LEAST_RANGE else 0.0
    levels = np.empty(pixels.shape, np.uint8)
    for rows in row_strips(pixels):
        levels[rows] = np.clip(np.rint((pixels[rows].astype(np.float64) - low) * factor), 0, 255)
    return levels
