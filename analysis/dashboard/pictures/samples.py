"""Sample images in a grid, those of a class side by side above its name."""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.dashboard.pictures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.report.facts import Picture, Pixels

N_COLUMNS = 6
MAX_PICTURES = 60
GAP = 10
SIDE = (style.WIDTH - 2 * style.EDGE - (N_COLUMNS - 1) * GAP) // N_COLUMNS
NAME = 52
"""Height of a name below an image."""


@style.drawing()
def draw_samples(pictures: Sequence["Picture"], *, title: str) -> bytes:
    """Draw images in a grid by class, as PNG.

    Small images are enlarged so that pixels are visible, large ones are reduced. Of more than 60,
    as many of each class as fit are drawn. The picture is 900 pixels wide.
    """
    shown = _by_class(pictures)
    n_rows = -(-len(shown) // N_COLUMNS)
    height = style.HEAD + n_rows * (SIDE + NAME) + style.EDGE
    return style.render_png(
        style.WIDTH, max(200, height), title, lambda figure: _draw(figure, shown)
    )


def _by_class(pictures: Sequence["Picture"]) -> list["Picture"]:
    """Return at most `MAX_PICTURES`, grouped by class, of as many classes as possible."""
    members: dict[str, list[Picture]] = {}
    for picture in pictures:
        members.setdefault(picture.label, []).append(picture)
    most = max(map(len, members.values()), default=0)
    while most > 1 and sum(min(most, len(it)) for it in members.values()) > MAX_PICTURES:
        most -= 1
    return [picture for it in members.values() for picture in it[:most]][:MAX_PICTURES]


def _draw(figure: "Figure", pictures: Sequence["Picture"]) -> None:
    if not pictures:
        style.draw_placeholder(figure, "There are no sample images")
    for first in range(0, len(pictures), N_COLUMNS):
        row = pictures[first : first + N_COLUMNS]
        top = style.HEAD + first // N_COLUMNS * (SIDE + NAME)
        for column, picture in enumerate(row):
            _place(figure, picture.pixels, style.EDGE + column * (SIDE + GAP), top)
        column = 0
        for label, members in groupby(row, key=lambda it: it.label):
            n = len(list(members))
            _name(figure, label, column, n, top + SIDE)
            column += n


def _place(figure: "Figure", pixels: "Pixels", left: int, top: int) -> None:
    """Place an image in the middle of its square, without resampling."""
    image = _sized(pixels)
    high, wide = image.shape[:2]
    height = round(figure.get_size_inches()[1] * style.DPI)
    x, y = left + (SIDE - wide) // 2, top + (SIDE - high) // 2
    figure.figimage(image, x, height - y - high, origin="upper")


def _sized(pixels: "Pixels") -> NDArray[np.uint8]:
    """Return an image that fits a square of `SIDE` pixels, shape `(height, width, 3)`."""
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    factor = SIDE / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    if factor > 1:  # By an integer first, so that all pixels have equal size.
        image = image.resize(
            (image.width * ceil(factor), image.height * ceil(factor)), Image.Resampling.NEAREST
        )
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def _name(figure: "Figure", label: str, column: int, n: int, bottom: float) -> None:
    """Write a class below its images, under a common line."""
    left = style.EDGE + column * (SIDE + GAP)
    width = n * (SIDE + GAP) - GAP
    name = style.truncate(label, width, style.LABEL)
    style.draw_rule(figure, left, left + width, bottom + 6)
    style.draw_text(figure, left + width / 2, bottom + 23, name, align="center")
