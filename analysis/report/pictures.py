"""Images as PNG within a page: small, and with a heat map over them where there is one."""

import io
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.report.facts import Picture, Pixels

MAX_SIDE = 224
"""Larger images are shown smaller: pages stay small."""
HEAT_OPACITY = 0.65
COLOUR_STOPS = (
    (0, (20, 11, 53)),
    (96, (132, 32, 107)),
    (170, (229, 92, 48)),
    (255, (252, 236, 140)),
)
"""From cold to hot, ever lighter, so that order is seen without colour too."""


def picture_uri(pixels: Pixels) -> str:
    """Return an image as a data URI.

    Args:
        pixels: Shape `(height, width, channels)` with 1 or 3 channels.
    """
    return _uri(_image(pixels))


def heat_uri(picture: Picture) -> str | None:
    """Return an image under its heat map as a data URI; None where there is no map."""
    if picture.heat is None:
        return None
    image = _image(picture.pixels).convert("RGB")
    heat = Image.fromarray(picture.heat).resize(image.size, Image.Resampling.BILINEAR)
    strength = np.asarray(heat, dtype=np.float64)
    opacity = HEAT_OPACITY * strength[..., None] / 255
    blended = (1 - opacity) * np.asarray(image) + opacity * _colour(strength)
    return _uri(Image.fromarray(blended.round().astype(np.uint8)))


def _image(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return image


def _colour(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colours of strengths from 0 to 255, shape `(height, width, 3)`."""
    at = [stop for stop, _ in COLOUR_STOPS]
    return np.stack(
        [np.interp(strength, at, [colour[k] for _, colour in COLOUR_STOPS]) for k in range(3)],
        axis=-1,
    )


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")
