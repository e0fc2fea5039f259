"""The drawing of a trial's network: boxes, branches and shortcuts, as in the report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.dashboard.pictures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from analysis.report.architecture import Box, Canvas, Line
    from spaces import DrawnLayer

MAX_HEIGHT = 4000
MAX_ROWS = 20
"""Longer networks are cut into parts, as in the report."""
SCALES = (2.0, 1.5, 1.25, 1.0)
"""Pixels of the picture per pixel of the report's drawing: the largest that fits is used."""
ROW_WIDTHS = (900, 1400, 2000, 3000, 5000)
"""Widths, in the drawing's pixels, in which the parts of a long network stand side by side."""
MAX_WIDTH = 1800
"""Maximum width of a picture while the scale is above 1."""
MIN_WIDTH = 600
GAP = 24
NUMBER = 22
"""Height of the number above a part, if there are several."""
PAD = 14
"""Space before the text in a box."""
SIZES = (13.0, 12.0, 11.0)
"""Font sizes of the lines in a box."""
ROUND, STRIPE = 6, 5


@style.drawing()
def draw_architecture(layers: Sequence["DrawnLayer"], *, title: str) -> bytes:
    """Draw a network from the image on top down to the probabilities, as PNG.

    Each box shows a layer, the shape of its output, its parameters, and operations on its output.
    Long networks are cut into numbered parts, side by side. The picture is at most 4000 pixels
    high. Each layer must follow its inputs.
    """
    page = _arrange(_parts(layers))
    return style.render_png(
        page.paper_width, page.paper_height, title, lambda it: _draw(it, page), zoom=page.zoom
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """The parts of a drawing with their positions, and its size, in the drawing's pixels.

    `scale` is the number of pixels of the picture per pixel of the drawing.
    """

    parts: tuple[tuple["Canvas", float, float], ...]
    width: float
    height: float
    scale: float = 1.0

    @property
    def paper_width(self) -> float:
        """The width in pixels of the picture, as all properties below."""
        return max(MIN_WIDTH, self.scale * self.width + 2 * style.EDGE)

    @property
    def paper_height(self) -> float:
        return max(200.0, self.head + self.scale * self.height + style.EDGE)

    @property
    def zoom(self) -> float:
        """Magnification of the title, since wide pictures are shown reduced."""
        return min(2.0, max(1.0, self.paper_width / style.WIDTH))

    @property
    def head(self) -> float:
        """Height of the title."""
        return self.zoom * style.HEAD

    @property
    def is_fit(self) -> bool:
        is_wide = self.scale > 1 and self.paper_width > MAX_WIDTH
        return not is_wide and self.paper_height <= MAX_HEIGHT


def _parts(layers: Sequence["DrawnLayer"]) -> tuple["Canvas", ...]:
    """Return a network in one part, or cut into parts if it is long."""
    from analysis.report.architecture import lay_out
    from analysis.report.texts import texts

    whole = lay_out(layers, texts("en"), max_rows=MAX_ROWS)
    return whole if len(whole) <= 1 else lay_out(layers, texts("en"))


def _arrange(canvases: Sequence["Canvas"]) -> _Page:
    """Arrange the parts in rows that are as narrow as the maximum height allows."""
    page = _Page((), 0, 0)
    for row_width in ROW_WIDTHS:
        page = _fill(canvases, row_width)
        for scale in SCALES:
            scaled = replace(page, scale=scale)
            if scaled.is_fit:
                return scaled
    room = MAX_HEIGHT - 2 * style.HEAD - style.EDGE
    return replace(page, scale=room / page.height)


def _fill(canvases: Sequence["Canvas"], row_width: float) -> _Page:
    """Arrange the parts in rows of a width, or of that of the widest part."""
    row_width = max([row_width, *(it.width for it in canvases)])
    head = NUMBER if len(canvases) > 1 else 0
    x = y = high = wide = 0.0
    parts = []
    for canvas in canvases:
        if x and x + canvas.width > row_width:
            x, y, high = 0.0, y + high + GAP, 0.0
        parts.append((canvas, x, y + head))
        wide = max(wide, x + canvas.width)
        high = max(high, canvas.height + head)
        x += canvas.width + GAP
    return _Page(tuple(parts), wide, y + high)


def _draw(figure: "Figure", page: _Page) -> None:
    from matplotlib.collections import PatchCollection

    if not page.parts:
        style.draw_placeholder(figure, "There are no layers")
        return
    wide, high = figure.get_size_inches() * style.DPI
    left, top = (wide - page.scale * page.width) / 2, page.head
    axes = style.place_axes(figure, left, top, wide - left, high - top)
    axes.set(xlim=(0, (wide - left) / page.scale), ylim=((high - top) / page.scale, 0))
    axes.set_axis_off()
    patches: list[Patch] = []
    for canvas, x, y in page.parts:
        patches += [it for line in canvas.lines for it in _line(line, x, y, page.scale)]
        patches += [it for box in canvas.boxes for it in _box(box, x, y, page.scale)]
    axes.add_collection(PatchCollection(patches, match_original=True), autolim=False)
    for number, (canvas, x, y) in enumerate(page.parts, start=1):
        for box in canvas.boxes:
            _write(figure, box, (left, top), (x, y), page.scale)
        if len(page.parts) > 1:
            words = f"{number} of {len(page.parts)}"
            at = (left + page.scale * (x + 10), top + page.scale * (y - NUMBER / 2))
            style.draw_text(figure, *at, words, size=page.scale * SIZES[1], color=style.MUTED)


def _line(line: "Line", x: float, y: float, scale: float) -> list["Patch"]:
    """Return a connection with its arrowhead."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    points = [line.start, *(point for step in line.steps for point in step)]
    codes = [Path.MOVETO]
    for step in line.steps:
        codes += [Path.LINETO] if len(step) == 1 else [Path.CURVE4] * 3
    patches: list[Patch] = [
        PathPatch(
            Path([(x + a, y + b) for a, b in points], codes),
            facecolor="none",
            edgecolor=style.MUTED,
            linewidth=style.points(1.4 * scale),
            linestyle=(0, (2, 2)) if line.is_continued else "-",
        )
    ]
    if line.head is not None:
        a, b = x + line.head[0], y + line.head[1]
        tip = [(a, b), (a - 4, b - 7), (a + 4, b - 7)]
        patches.append(Polygon(tip, facecolor=style.MUTED, linewidth=0))
    return patches


def _box(box: "Box", x: float, y: float, scale: float) -> list["Patch"]:
    """Return a box with a stripe in the color of its kind of layer."""
    from matplotlib.patches import FancyBboxPatch

    from analysis.report.architecture.layout import WIDTH

    at = (x + box.x, y + box.y)
    return [
        FancyBboxPatch(
            at,
            WIDTH,
            box.height,
            boxstyle=f"round,pad=0,rounding_size={ROUND}",
            facecolor=style.PAPER,
            edgecolor=style.LINE,
            linewidth=style.points(scale),
        ),
        FancyBboxPatch(
            at,
            STRIPE,
            box.height,
            boxstyle=f"round,pad=0,rounding_size={STRIPE / 2}",
            facecolor=_color(box.block.kind),
            linewidth=0,
        ),
    ]


def _color(kind: str) -> str:
    """Return the color of a kind of layer, as in the report's style sheet."""
    from analysis.report.figures import theme

    if kind in {"conv2d", "backbone"}:
        return theme.BLUE
    if kind in {"max_pool", "average_pool", "global_average", "flatten"}:
        return theme.GREEN
    if kind == "dense":
        return theme.ORANGE
    return theme.PINK if kind in {"probabilities", "image"} else theme.NEUTRAL


def _write(
    figure: "Figure",
    box: "Box",
    origin: tuple[float, float],
    part: tuple[float, float],
    scale: float,
) -> None:
    """Write the lines of a box, reduced or truncated if they are too long."""
    from analysis.report.architecture.geometry import BASELINES
    from analysis.report.architecture.layout import WIDTH

    room = scale * (WIDTH - PAD - 6)
    for place, text in enumerate(box.written):
        is_title = place == 0
        wanted = scale * SIZES[place]
        full = style.width_of(style.sanitize(text), wanted, bold=is_title)
        size = wanted * max(0.82, min(1.0, room / full if full else 1.0))
        style.draw_text(
            figure,
            origin[0] + scale * (part[0] + box.x + PAD),
            origin[1] + scale * (part[1] + box.y + BASELINES[place]),
            style.truncate(text, room, size, bold=is_title),
            size=size,
            bold=is_title,
            color=style.MUTED if place == 2 else style.TEXT,
            valign="baseline",
        )
