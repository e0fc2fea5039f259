"""A part of a network's drawing as geometry: boxes with their texts, lines with their bends.

Coordinates are pixels from the upper left corner of the part; what draws them is elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.report.architecture.blocks import Block
from analysis.report.architecture.layout import LANE, WIDTH, Layout, Link
from analysis.report.texts import Texts

BOX_HEIGHT, TALL_BOX_HEIGHT = 46, 62
ROW_GAP = 34
MARGIN = 10
STUB_LENGTH = 20
BASELINES = (19, 36, 52)
"""Of the lines in a box, from its top."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A block where it stands: its upper left corner, its height, and what is written in it."""

    block: Block
    x: float
    y: float
    height: int
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A connection from its start on.

    A step is one point, straight below the one before, or the three of a cubic Bézier curve.
    `head` is where an arrow's head points, None where the line leaves the part; `is_continued`
    says
    that it comes from, or leads to, another part.
    """

    start: Point
    steps: tuple[tuple[Point, ...], ...]
    head: Point | None
    is_continued: bool


class Canvas:
    """The rows `first` to `last` of a plan, with coordinates of their own.

    Attributes:
        boxes: Of all blocks in these rows, in the order of the network.
        lines: Between these, and from or to other rows.
        width: In pixels, with a margin.
        height: In pixels, with a margin.
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
        """Return the left side, in the plan's coordinates, and the width."""
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
        """Return a line from block to block, or from or to the end of the part."""
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
    """Return the lines of a block: what it is, its size with its parameters, what acts on it."""
    third = _third_line(block, texts)
    lines = (title_of(block, texts), _numbers(block, texts))
    return (*lines, third) if third else lines


def title_of(block: Block, texts: Texts) -> str:
    """Return what a block is, in the language's words where it has some."""
    title = _kind(block.kind, texts)
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
    """Return what acts on the output; of a backbone its name."""
    parts = [block.name[:24]] if block.kind == "backbone" else []
    return ", ".join([*parts, *(_merged_label(it, texts) for it in block.merged_kinds)])


def _merged_label(kind: str, texts: Texts) -> str:
    """Return a short word for what acts on an output, so that three of them fit a box."""
    key = f"layer.short.{kind}"
    return texts.say(key) if key in texts else _kind(kind, texts)


def _kind(kind: str, texts: Texts) -> str:
    key = f"layer.{kind}"
    return texts.say(key) if key in texts else kind


def _bend(x: float, y: float, to_x: float, to_y: float) -> tuple[Point, ...]:
    """Return the step down to a point, bent where it goes aside."""
    if abs(x - to_x) < 0.5:
        return ((x, to_y),)
    middle = (y + to_y) / 2
    return ((x, middle), (to_x, middle), (to_x, to_y))
