"""Single images for prediction, prepared like the images of a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.decode import DECODE_ERRORS, decode_with_notes, describe_decode_error
from search.data.pixel_values import Range, range_of_file, to_uint8
from search.data.pixels import has_color, resize, stack, to_grey
from search.data.source_api import UnreadableImage
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image of shape `(size, size, channels)`, and what differs from its file in words."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


def prepare_image(
    path: Path, size: int, channels: int, color: str, pixel_range: Range | None = None
) -> PreparedImage | UnreadableImage:
    """Read a PNG, JPEG, BMP or TIFF and stretch it to `size` pixels a side.

    `channels` is 1 or 3; `color` is `grey`, `rgb`, or `auto`, which makes images without real
    color grey. `pixel_range` holds the values of training images that became 0 and 255. To be
    called within `strict_pillow_warnings`, like all decoding.
    """
    try:
        if path.exists() and not path.is_file():
            return UnreadableImage("not a file")
        pixels, left = decode_with_notes(str(path), keeps_deep_color=pixel_range is not None)
        levels = to_uint8(pixels, pixel_range)
    except DataError as error:  # It is too large.
        return UnreadableImage(str(error))
    except DECODE_ERRORS as error:
        return UnreadableImage(describe_decode_error(error))
    is_colored = has_color(levels)
    as_grey = channels == 1 or color == "grey" or (color == "auto" and not is_colored)
    fitted = resize(to_grey(levels) if as_grey else levels, size)
    notes = _notes(pixels, size, channels, is_colored=is_colored)
    scaling = _scaling(pixels, pixel_range)
    return PreparedImage(stack([fitted], size, channels)[0], left + notes + scaling)


def _notes(pixels: NDArray[Any], size: int, channels: int, *, is_colored: bool) -> tuple[str, ...]:
    height, width = pixels.shape[:2]
    notes = {
        f"{width}×{height} pixels made {size}×{size}": (height, width) != (size, size),
        "stretched: it is not square": height != width,
        "color made grey": is_colored and channels == 1,
        "grey repeated for three channels": not is_colored and channels == 3,
    }
    return tuple(note for note, is_so in notes.items() if is_so)


def _scaling(pixels: NDArray[Any], trained_on: Range | None) -> tuple[str, ...]:
    """Describe the scaling to 8 bits, if there is any."""
    values = range_of_file(pixels, trained_on)
    if values is None:
        return ()
    if trained_on is None:
        return ("scaled to 8 bits by its own range",)
    low, high = values
    clipped = ", and clipped" if pixels.min() < low or pixels.max() > high else ""
    return (f"{low:g} to {high:g} made 0 to 255, as in training{clipped}",)
