"""Geometry of a part of a network's drawing: boxes with their texts, and lines.

Coordinates are pixels from the upper left corner of the part; they are drawn in `drawing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.report.architecture.blocks import Block
from analysis.report.architecture.layout import LANE, WIDTH, Layout, Link
from analysis.report.phrases import Phrases
from analysis.report.texts import Texts

BOX_HEIGHT, TALL_BOX_HEIGHT = 46, 62
ROW_GAP = 34
MARGIN = 10
STUB_LENGTH = 20
BASELINES = (19, 36, 52)
"""Baselines of the text in a box, from its top."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A block with its upper left corner, its height, and its lines of text."""

    block: Block
    x: float
    y: float
    height: int
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A connection.

    A step is one point, straight below the last one, or three points of a cubic Bézier curve.
    `head` is the tip of the arrow, None if the line leaves the part; `is_continued` is whether it
    comes from, or leads to, another part.
    """

    start: Point
    steps: tuple[tuple[Point, ...], ...]
    head: Point | None
    is_continued: bool


class Canvas:
    """Some rows of a layout, with their own coordinates and a margin.

    `boxes` are in the order of the network; `lines` are between them, and from or to other rows.
    """

    def __init__(
        self, blocks: Mapping[str, Block], layout: Layout, rows: tuple[int, int], texts: Texts
    ) -> None:
        self._first, self._last = rows
        self._layout = layout
        self._blocks = [it for it in blocks.values() if self._is_here(layout.row_of[it.name])]
        self._written = {it.name: box_text(it, texts) for it in self._blocks}
        self._tops: dict[int, float] = {}
        self._bottoms: dict[int, float] = {}
        y = float(MARGIN + (STUB_LENGTH if self._first > 0 else 0))
        for row in range(self._first, self._last + 1):
            members = [it.name for it in self._blocks if layout.row_of[it.name] == row]
            self._tops[row] = y
            self._bottoms[row] = y + max(map(self._height_of, members))
            y = self._bottoms[row] + ROW_GAP
        self.height = y - ROW_GAP + MARGIN + (STUB_LENGTH if self._last < layout.n_rows - 1 else 0)
        self._left, self.width = self._find_sides()
        self.boxes = tuple(self._place(it) for it in self._blocks)
        self.lines = tuple(self._route(it) for it in layout.links if self._touches(it))

    def _is_here(self, row: int) -> bool:
        return self._first <= row <= self._last

    def _touches(self, link: Link) -> bool:
        source, target = self._layout.row_of[link.source], self._layout.row_of[link.target]
        return source <= self._last and target >= self._first and target > source

    def _find_sides(self) -> tuple[float, float]:
        """Return the left side, in coordinates of the layout, and the width."""
        middles = [self._layout.x_of[it.name] for it in self._blocks]
        lanes = [
            x for link in self._layout.links for row, x in link.lanes.items() if self._is_here(row)
        ]
        left = min([*(x - WIDTH / 2 for x in middles), *(x - LANE / 2 for x in lanes)])
        right = max([*(x + WIDTH / 2 for x in middles), *(x + LANE / 2 for x in lanes)])
        return left - MARGIN, right - left + 2 * MARGIN

    def _height_of(self, name: str) -> int:
        return TALL_BOX_HEIGHT if len(self._written[name]) > 2 else BOX_HEIGHT

    def _place(self, block: Block) -> Box:
        return Box(
            block,
            self._layout.x_of[block.name] - WIDTH / 2 - self._left,
            self._tops[self._layout.row_of[block.name]],
            self._height_of(block.name),
            self._written[block.name],
        )

    def _route(self, link: Link) -> Line:
        """Return the line of a link, cut off at the ends of the part."""
        source, target = self._layout.row_of[link.source], self._layout.row_of[link.target]
        x, y = start = self._start(link, source)
        steps: list[tuple[Point, ...]] = []
        for row in range(max(source + 1, self._first), min(target - 1, self._last) + 1):
            to = link.lanes[row] - self._left
            steps.append(_bend(x, y, to, self._tops[row]))
            x, y = to, self._bottoms[row]
            steps.append(((x, y),))
        if target > self._last:
            steps.append(((x, self.height - MARGIN / 2),))
            return Line(start, tuple(steps), None, is_continued=True)
        x_of_target, top = self._layout.x_of[link.target] - self._left, self._tops[target]
        steps.append(_bend(x, y, x_of_target, top - 5))
        return Line(start, tuple(steps), (x_of_target, top - 1), is_continued=source < self._first)

    def _start(self, link: Link, source: int) -> Point:
        if source >= self._first:
            bottom = self._tops[source] + self._height_of(link.source)
            return self._layout.x_of[link.source] - self._left, bottom
        above = self._layout.x_of[link.source if link.lanes else link.target]
        return above - self._left, MARGIN / 2


def box_text(block: Block, texts: Texts) -> tuple[str, ...]:
    """Return the lines of a block: its kind, its size with its parameters, the merged layers."""
    third = _third_line(block, texts)
    lines = (title_of(block, texts), _numbers(block, texts))
    return (*lines, third) if third else lines


def title_of(block: Block, texts: Texts) -> str:
    """Return the title of a block in the language of the texts."""
    title = Phrases(texts).name("layer", block.kind)
    title = title[:1].upper() + title[1:]
    return f"{title} {block.kernel_size}×{block.kernel_size}" if block.kernel_size else title


def size_of(block: Block) -> str:
    """Return the shape of a block's output, as `64×64×16`."""
    return "×".join(map(str, block.shape))


def _numbers(block: Block, texts: Texts) -> str:
    if not block.parameters:
        return size_of(block)
    return f"{size_of(block)} · {texts.number(block.parameters)}"


def _third_line(block: Block, texts: Texts) -> str:
    """Return the merged layers, after the name of a backbone."""
    parts = [block.name[:24]] if block.kind == "backbone" else []
    for kind in block.merged_kinds:  # Short words, so that three of them fit a box.
        short = f"layer.short.{kind}"
        parts.append(texts.say(short) if short in texts else Phrases(texts).name("layer", kind))
    return ", ".join(parts)


def _bend(x: float, y: float, to_x: float, to_y: float) -> tuple[Point, ...]:
    """Return the step down to a point: a curve if it is not straight below."""
    if abs(x - to_x) < 0.5:
        return ((x, to_y),)
    middle = (y + to_y) / 2
    return ((x, middle), (to_x, middle), (to_x, to_y))
