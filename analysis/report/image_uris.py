"""Images as PNG data URIs: scaled down, with or without a heat map over them."""

import io
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.report.facts import Picture, Pixels

MAX_SIDE = 224
"""Larger images are scaled down, which keeps pages small."""
HEAT_OPACITY = 0.65
COLOR_STOPS = (
    (0, (20, 11, 53)),
    (96, (132, 32, 107)),
    (170, (229, 92, 48)),
    (255, (252, 236, 140)),
)
"""From cold to hot with increasing lightness, so that the order is visible without color."""


def picture_uri(pixels: Pixels) -> str:
    """Return an image as a data URI."""
    return _uri(_image(pixels))


def heat_uri(picture: Picture) -> str | None:
    """Return an image with its heat map over it as a data URI; None without a map."""
    if picture.heat is None:
        return None
    image = _image(picture.pixels).convert("RGB")
    heat = Image.fromarray(picture.heat).resize(image.size, Image.Resampling.BILINEAR)
    strength = np.asarray(heat, dtype=np.float64)
    opacity = HEAT_OPACITY * strength[..., None] / 255
    blended = (1 - opacity) * np.asarray(image) + opacity * _color(strength)
    return _uri(Image.fromarray(blended.round().astype(np.uint8)))


def _image(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return image


def _color(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colors of strengths from 0 to 255, shape `(height, width, 3)`."""
    at = [stop for stop, _ in COLOR_STOPS]
    return np.stack(
        [np.interp(strength, at, [color[k] for _, color in COLOR_STOPS]) for k in range(3)],
        axis=-1,
    )


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")
