"""The confusion matrix of a trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.dashboard.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_WRITTEN = 12
"""With more classes the cells have no numbers."""
MAX_NAME = 230
"""Maximum width of a name, in pixels."""
FOOT, SIDE = 48, 56
"""Space for the titles of the axes, below and at the left."""
DARK = 0.5
"""Cells with a larger share of the row are dark and have white numbers."""


@style.drawing()
def draw_confusion(
    matrix: Sequence[Sequence[int]], classes: Sequence[str], *, title: str
) -> bytes:
    """Draw images by true class (row) and predicted class, as PNG, colored by share of the row.

    Counts and shares are written in the cells of up to 12 classes. The picture is 900 pixels wide;
    its height follows from the number of classes, and stays below 1100 pixels.
    """
    table = _Table.of(matrix, classes)
    height = style.HEAD + table.n * table.cell_height + table.foot + FOOT
    return style.render_png(
        style.WIDTH, max(200, height), title, lambda figure: _draw(figure, table)
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """The matrix and its layout, in pixels.

    Every `step`-th class has its name, 1 unless lines of text would overlap. `foot` is the space
    for the names below, which are rotated if `is_upright`.
    """

    counts: NDArray[np.int64]
    names: tuple[str, ...]
    size: float
    step: int
    left: float
    cell_width: float
    cell_height: float
    foot: float
    is_upright: bool

    @property
    def n(self) -> int:
        return len(self.names)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Shares of each true class; 0 if it has no images."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.asarray(self.counts / np.maximum(totals, 1), dtype=np.float64)

    @classmethod
    def of(cls, matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> "_Table":
        n = len(classes)
        cell_height = min(110.0, max(48.0, 640 / max(1, n))) if n <= MAX_WRITTEN else 760 / n
        size = float(style.LABEL) if n <= MAX_WRITTEN else min(style.LABEL, max(13, cell_height))
        names = tuple(style.truncate(name, MAX_NAME, size) for name in classes)
        longest = max((style.width_of(name, size) for name in names), default=0.0)
        left = SIDE + longest + 12
        cell_width = (style.WIDTH - style.EDGE - left) / max(1, n)
        is_upright = longest > cell_width - 8
        return cls(
            counts=np.asarray(matrix, dtype=np.int64).reshape(n, n),
            names=names,
            size=size,
            step=max(1, int(np.ceil(1.1 * size / min(cell_height, cell_width)))) if n else 1,
            left=left,
            cell_width=cell_width,
            cell_height=cell_height,
            foot=12 + (longest if is_upright else size),
            is_upright=is_upright,
        )


def _draw(figure: "Figure", table: _Table) -> None:
    if not table.n:
        style.draw_placeholder(figure, "There are no classes")
        return
    width, height = table.n * table.cell_width, table.n * table.cell_height
    axes = style.place_axes(figure, table.left, style.HEAD, width, height)
    axes.set(xticks=[], yticks=[])
    _fill(axes, table)
    if table.n <= MAX_WRITTEN:
        _write_cells(figure, table)
    _write_names(figure, table)
    x, y = table.left + width / 2, style.HEAD + height / 2
    foot = style.HEAD + height + table.foot + FOOT / 2
    is_written = table.n <= MAX_WRITTEN
    below = f"predicted class ({'%' if is_written else 'darker: larger share'} of true class)"
    style.draw_text(figure, x, foot, below, color=style.MUTED, align="center")
    style.draw_text(figure, 26, y, "true class", color=style.MUTED, align="center", rotation=90)


def _fill(axes: "Axes", table: _Table) -> None:
    """Color the cells, with white lines between them if they are few."""
    from matplotlib.colors import LinearSegmentedColormap

    from analysis.report.figures import theme

    colors = LinearSegmentedColormap.from_list("blues", list(theme.BLUES))
    axes.imshow(table.shares, cmap=colors, vmin=0, vmax=1, aspect="auto")
    if table.n <= MAX_WRITTEN:
        for place in range(1, table.n):
            axes.axhline(place - 0.5, color="white", linewidth=style.points(3))
            axes.axvline(place - 0.5, color="white", linewidth=style.points(3))
    else:
        for spine in axes.spines.values():
            spine.set(visible=True, color=style.LINE)


def _write_cells(figure: "Figure", table: _Table) -> None:
    """Write each count, and its share of the row if it is not 0."""
    room = table.cell_width - 8
    large = min(28.0, 0.42 * table.cell_height, style.size_for("999", room, bold=True))
    small = min(0.75 * large, style.size_for("100%", room))
    shares = table.shares
    for (row, column), count in np.ndenumerate(table.counts):
        share = shares[row, column]
        x = table.left + (column + 0.5) * table.cell_width
        y = style.HEAD + (row + 0.5) * table.cell_height
        if not count:
            style.draw_text(figure, x, y, "0", size=small, color=style.MUTED, align="center")
            continue
        size = min(large, style.size_for(str(count), room, bold=True))
        percent = "<1%" if share < 0.005 else f"{share:.0%}"
        for text, down, high in ((str(count), -0.42, size), (percent, 0.62, small)):
            style.draw_text(
                figure,
                x,
                y + down * large,
                text,
                size=high,
                color="white" if share > DARK else style.TEXT,
                bold=down < 0,
                align="center",
            )


def _write_names(figure: "Figure", table: _Table) -> None:
    """Write the names of rows and columns, or of every `step`-th one."""
    bottom = style.HEAD + table.n * table.cell_height + 10
    for place in range(0, table.n, table.step):
        name = table.names[place]
        y = style.HEAD + (place + 0.5) * table.cell_height
        x = table.left + (place + 0.5) * table.cell_width
        style.draw_text(figure, table.left - 10, y, name, size=table.size, align="right")
        if table.is_upright:
            style.draw_text(figure, x, bottom, name, size=table.size, align="right", rotation=90)
        else:
            y = bottom + table.size / 2
            style.draw_text(figure, x, y, name, size=table.size, align="center")
