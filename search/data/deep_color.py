"""Color of 16 bits a channel, of which Pillow keeps only the high bytes.

A file is decoded a second time in the other byte order: what Pillow then keeps are the low bytes.
"""

import sys
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.data.pixel_values import LARGEST_16_BIT, row_strips

DeepColor = Literal["color", "grey with alpha"]
_NATIVE_OTHER = "B" if sys.byteorder == "little" else "L"
_OTHER_ORDER = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", _NATIVE_OTHER))
}
"""The raw mode that reads the low bytes, by that of the high ones."""
_GREY_WITH_ALPHA, _FOUR_BYTES = "LA;16B", "RGBA"
"""Both bytes of a pixel and of its alpha are read as if they were four channels."""


def deep_color_of(image: Any) -> DeepColor | None:
    """Return what an image that is open and not loaded has more than 8 bits of, None if nothing.

    Grey without alpha is no color: Pillow reads all its bits.
    """
    modes = {_raw_mode(tile) for tile in image.tile}
    if modes == {_GREY_WITH_ALPHA}:
        return "grey with alpha"
    return "color" if len(modes) == 1 and modes <= _OTHER_ORDER.keys() else None


def read_low_bytes(image: Any) -> None:
    """Make an image with deep color, which is not loaded yet, load the low bytes."""
    image.tile = [_in_other_order(tile) for tile in image.tile]


def join_bytes(kind: DeepColor, high: Image.Image, low: Image.Image) -> NDArray[np.uint16]:
    """Return pixels `(height, width)` or `(height, width, 3)`, transparent parts black."""
    n_channels = 1 if kind == "grey with alpha" else 3
    pixels = np.empty((high.height, high.width, n_channels), np.uint16)
    for rows in row_strips(pixels):
        box = (0, rows.start, high.width, min(rows.stop, high.height))
        last = np.asarray(low.crop(box)).astype(np.uint16)
        if kind == "grey with alpha":
            first, last = last[..., 0::2], last[..., 1::2]
        else:
            first = np.asarray(high.crop(box)).astype(np.uint16)
        values = np.left_shift(first, 8, dtype=np.uint16) | last
        has_alpha = values.shape[-1] > n_channels
        pixels[rows] = lay_on_black(values, LARGEST_16_BIT) if has_alpha else values
    return pixels if n_channels == 3 else pixels[..., 0]


def lay_on_black(values: NDArray[Any], most: float) -> NDArray[Any]:
    """Lay pixels `(..., channels)` whose last channel is alpha, `most` if opaque, on black."""
    opacity = values[..., -1:].astype(np.float64) / most
    laid: NDArray[Any] = np.rint(values[..., :-1] * opacity).astype(values.dtype)
    return laid


def _raw_mode(tile: Any) -> str:
    first = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
    return first if isinstance(first, str) else ""


def _in_other_order(tile: Any) -> Any:
    mode = _raw_mode(tile)
    other = _FOUR_BYTES if mode == _GREY_WITH_ALPHA else _OTHER_ORDER[mode]
    return tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:]))
