"""Single images for prediction, prepared like the images of a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.pixel_values import OWN, PixelRange, range_of_file, to_uint8
from search.data.pixels import as_network_input, has_color
from search.data.read_image import Frame, read_image
from search.data.settings import Fit
from search.data.source_api import Decoded, UnreadableImage
from search.errors import DataError

_FITTED: Mapping[Fit, str] = {
    "stretch": "stretched", "pad": "black added at two sides", "crop": "two sides cut off"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image of shape `(size, size, channels)`, and what differs from its file in words."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


def prepare_image(
    path: Path,
    size: int,
    channels: int,
    color: str,
    pixel_range: PixelRange = None,
    *,
    fit: Fit = "stretch",
    frame: Frame = None,
) -> PreparedImage | UnreadableImage:
    """Read an image file of any format and make it `size` pixels a side.

    `channels` is 1 or 3; `color` is `grey`, `rgb`, or `auto`, which makes images without real
    color grey. `pixel_range` holds the values that became 0 and 255 in training, and `fit` says
    how images became square. `frame` is the image of a file that has several. To be called within
    `decoder_warnings`, like all decoding.
    """
    try:
        if path.exists() and not path.is_file():
            return UnreadableImage("not a file")
        found = read_image(str(path), frame)
        if isinstance(found, UnreadableImage):
            return found
        levels = to_uint8(found.pixels, pixel_range)
    except (DataError, ValueError) as error:  # It is too large, or holds NaN.
        return UnreadableImage(str(error))
    is_colored = has_color(found.pixels)
    as_grey = channels == 1 or color == "grey" or (color == "auto" and not is_colored)
    notes = _notes(found, size, channels, fit, is_colored=is_colored)
    scaling = _scaling(found.pixels, pixel_range)
    pixels = as_network_input(levels, size, channels, fit, as_grey=as_grey)
    return PreparedImage(pixels, notes + scaling)


def _notes(
    found: Decoded, size: int, channels: int, fit: Fit, *, is_colored: bool
) -> tuple[str, ...]:
    height, width = found.pixels.shape[:2]
    notes = {
        "only the first of several pages": found.has_pages,
        "transparent parts made black": found.is_transparent,
        "its end marker is missing": found.lacks_end,
        f"{width}×{height} pixels made {size}×{size}": (height, width) != (size, size),
        f"{_FITTED[fit]}: it is not square": height != width,
        "color made grey": is_colored and channels == 1,
        "grey repeated for three channels": not is_colored and channels == 3,
    }
    return tuple(note for note, is_so in notes.items() if is_so)


def _scaling(pixels: NDArray[Any], trained_on: PixelRange) -> tuple[str, ...]:
    """Describe the scaling to 8 bits, if there is any."""
    values = range_of_file(pixels, trained_on)
    if values is None:
        return ()
    if trained_on is None:
        return ("scaled to 8 bits by its own range, as training had 8-bit images only",)
    low, high = values
    if trained_on == OWN:
        return (f"{low:g} to {high:g} made 0 to 255: its own range, as in training",)
    clipped = ", and clipped" if pixels.min() < low or pixels.max() > high else ""
    return (f"{low:g} to {high:g} made 0 to 255, as in training{clipped}",)
