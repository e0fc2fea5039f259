"""What a pixel's value means: which values become 0 and 255, in training and in prediction.

A range is the pair of values that become 0 and 255. Images of a folder have none: 8 bits are
taken as they are, and a deeper image is scaled by its own range. The training images of an array
have one, which a model keeps for the files that it predicts.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
FRACTIONS: Range = (0.0, 1.0)
LARGEST_8_BIT, LARGEST_16_BIT = 255.0, 65535.0
STRIP_PIXELS = 2**20
"""Number of pixels that are converted at once: temporary arrays of all would take gigabytes."""


def row_strips(pixels: NDArray[Any]) -> Iterator[slice]:
    """Divide an image into strips of rows, of about `STRIP_PIXELS` pixels."""
    height, width = pixels.shape[:2]
    step = max(1, STRIP_PIXELS // width)
    return (slice(top, top + step) for top in range(0, height, step))


def range_of_array(training: NDArray[Any]) -> Range | None:
    """Return the range of an array of training images; None for uint8.

    Floats within 0 and 1 are fractions, of which 1 is white.
    """
    if training.dtype == np.uint8:
        return None
    low, high = float(training.min()), float(training.max())
    if training.dtype.kind in "bf" and low >= 0 and high <= 1:
        return FRACTIONS
    return low, high


def range_of_file(pixels: NDArray[Any], trained_on: Range | None) -> Range | None:
    """Return the range for a decoded file, given that of a model's training images.

    Its values are those of the array where they can be. An 8-bit file of deeper images was scaled
    by whoever wrote it, so it is taken as it is; 16 bits of fractions are fractions of 65535.
    """
    if trained_on is None:
        return None if pixels.dtype == np.uint8 else (float(pixels.min()), float(pixels.max()))
    if pixels.dtype == np.uint8:
        is_8_bit = trained_on[0] >= 0 and trained_on[1] <= LARGEST_8_BIT
        return trained_on if is_8_bit and trained_on != FRACTIONS else None
    if trained_on == FRACTIONS and pixels.dtype.kind in "iu":
        return 0.0, LARGEST_16_BIT
    return trained_on


def to_uint8(pixels: NDArray[Any], trained_on: Range | None = None) -> NDArray[np.uint8]:
    """Scale a decoded file to 0 to 255; values beyond the range are clipped.

    Scanners rarely fill 16 bits: 12-bit CT scaled by the full range would be nearly black. An
    image of one value becomes black.

    Raises:
        ValueError: If it holds NaN or infinity.
    """
    if pixels.dtype.kind == "f" and not np.isfinite([pixels.min(), pixels.max()]).all():
        raise ValueError("it holds NaN or infinity")
    return scale(pixels, range_of_file(pixels, trained_on))


def scale(pixels: NDArray[Any], values: Range | None) -> NDArray[np.uint8]:
    """Scale pixels so that a range becomes 0 to 255, and clip them; None keeps uint8."""
    if values is None:
        return pixels
    low, high = values
    factor = LARGEST_8_BIT / (high - low) if high > low else 0.0
    levels = np.empty(pixels.shape, np.uint8)
    for rows in row_strips(pixels):
        levels[rows] = np.clip(np.rint((pixels[rows].astype(np.float64) - low) * factor), 0, 255)
    return levels
