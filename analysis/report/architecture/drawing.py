"""The drawing of a network: SVG panels, each short enough for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from analysis.report.architecture.blocks import group_layers
from analysis.report.architecture.geometry import (
    BASELINES,
    Box,
    Canvas,
    Line,
    Point,
    size_of,
    title_of,
)
from analysis.report.architecture.layout import WIDTH, place_blocks, split_rows
from analysis.report.texts import Texts
from spaces import DrawnLayer

MAX_ROWS = 9
"""Rows of a panel: one fits a screen, two fit a printed page."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the drawing: its SVG, and its blocks in words."""

    svg: Markup
    width: int
    description: str


def draw_architecture(layers: Sequence[DrawnLayer], texts: Texts) -> tuple[Panel, ...]:
    """Draw a network, whose layers follow their inputs, from the image down to probabilities."""
    return tuple(_panel(canvas, texts) for canvas in lay_out(layers, texts))


def lay_out(
    layers: Sequence[DrawnLayer], texts: Texts, *, max_rows: int = MAX_ROWS
) -> tuple[Canvas, ...]:
    """Return the parts of a network's drawing, of at most `max_rows` where the network allows."""
    if not layers:
        return ()
    blocks = {block.name: block for block in group_layers(layers)}
    layout = place_blocks(list(blocks.values()))
    return tuple(Canvas(blocks, layout, run, texts) for run in split_rows(layout, max_rows))


def _panel(canvas: Canvas, texts: Texts) -> Panel:
    lines = [_draw_line(it) for it in canvas.lines]
    boxes = [_draw_box(it) for it in canvas.boxes]
    width, height = round(canvas.width), round(canvas.height)
    svg = Markup(
        '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">{body}</svg>'
    ).format(w=width, h=height, body=Markup("").join([*lines, *boxes]))
    blocks = [it.block for it in canvas.boxes]
    return Panel(svg, width, "; ".join(f"{title_of(it, texts)} {size_of(it)}" for it in blocks))


def _draw_box(box: Box) -> Markup:
    written = Markup("").join(
        Markup('<text x="14" y="{}" class="t{}">{}</text>').format(y, number, line)
        for number, (y, line) in enumerate(zip(BASELINES, box.written, strict=False), start=1)
    )
    return Markup(
        '<g transform="translate({x:.0f} {y:.0f})" class="layer layer-{kind}">'
        '<title>{name}</title><rect width="{w}" height="{h}" rx="6"/>'
        '<rect class="stripe" width="5" height="{h}" rx="2.5"/>{written}</g>'
    ).format(
        x=box.x,
        y=box.y,
        kind=box.block.kind.replace("_", "-"),
        name=escape(box.block.name),
        w=WIDTH,
        h=box.height,
        written=written,
    )


def _draw_line(line: Line) -> Markup:
    path = "M{:.0f} {:.0f}".format(*line.start) + "".join(map(_step, line.steps))
    style = "link goes-on" if line.is_continued else "link"
    head = Markup("")
    if line.head is not None:
        head = Markup('<path class="head" d="M{:.0f} {:.0f}l-4 -7h8z"/>').format(*line.head)
    return Markup('<path class="{}" d="{}"/>{}').format(style, path, head)


def _step(points: Sequence[Point]) -> str:
    """Return a line straight down, or a curve."""
    if len(points) == 1:
        return f"V{points[0][1]:.0f}"
    return "C" + " ".join(f"{x:.0f} {y:.0f}" for x, y in points)
