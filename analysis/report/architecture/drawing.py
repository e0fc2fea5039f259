"""The drawing of a network: SVG panels, each short enough for a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from analysis.report.architecture.blocks import Block, group_layers
from analysis.report.architecture.placing import LANE, WIDTH, Link, Plan, cut_rows, place_blocks
from analysis.report.facts import LayerFacts
from analysis.report.texts import Texts

MAX_ROWS = 9
"""Of a panel: what fits a screen, and two of them on a printed page."""
LOW, TALL = 46, 62
ROW_GAP = 34
MARGIN = 10
END = 20


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the drawing: its SVG, and its blocks in words."""

    svg: Markup
    width: int
    description: str


def draw_architecture(layers: Sequence[LayerFacts], texts: Texts) -> tuple[Panel, ...]:
    """Draws a network from the image on top down to the probabilities.

    Args:
        layers: Each after those that it takes its input from; none give no panel.
        texts: The language of the labels.
    """
    if not layers:
        return ()
    blocks = {block.name: block for block in group_layers(layers)}
    plan = place_blocks(list(blocks.values()))
    return tuple(_Sheet(blocks, plan, run, texts).draw() for run in cut_rows(plan, MAX_ROWS))


class _Sheet:
    """One panel: the rows `first` to `last` of a plan, with its own coordinates."""

    def __init__(
        self, blocks: Mapping[str, Block], plan: Plan, rows: tuple[int, int], texts: Texts
    ) -> None:
        self.first, self.last = rows
        self.plan = plan
        self.texts = texts
        self.blocks = [it for it in blocks.values() if self._is_here(plan.row_of[it.name])]
        self.tops: dict[int, float] = {}
        self.heights: dict[int, float] = {}
        y = float(MARGIN + (END if self.first > 0 else 0))
        for row in range(self.first, self.last + 1):
            members = [it for it in self.blocks if plan.row_of[it.name] == row]
            self.tops[row] = y
            self.heights[row] = TALL if any(_third_line(it, texts) for it in members) else LOW
            y += self.heights[row] + ROW_GAP
        self.height = y - ROW_GAP + MARGIN + (END if self.last < plan.n_rows - 1 else 0)
        self._find_sides()

    def draw(self) -> Panel:
        """Gives the panel."""
        lines = [self._draw_link(it) for it in self.plan.links if self._touches(it)]
        boxes = [self._draw_block(it) for it in self.blocks]
        width, height = round(self.width), round(self.height)
        svg = Markup(
            '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">{body}</svg>'
        ).format(w=width, h=height, body=Markup("").join([*lines, *boxes]))
        described = "; ".join(f"{_title(it, self.texts)} {_size(it)}" for it in self.blocks)
        return Panel(svg, width, described)

    def _is_here(self, row: int) -> bool:
        return self.first <= row <= self.last

    def _touches(self, link: Link) -> bool:
        source, target = self.plan.row_of[link.source], self.plan.row_of[link.target]
        return source <= self.last and target >= self.first and (target > source)

    def _find_sides(self) -> None:
        middles = [self.plan.x_of[it.name] for it in self.blocks]
        lanes = [
            x for link in self.plan.links for row, x in link.lanes.items() if self._is_here(row)
        ]
        left = min([*(x - WIDTH / 2 for x in middles), *(x - LANE / 2 for x in lanes)])
        right = max([*(x + WIDTH / 2 for x in middles), *(x + LANE / 2 for x in lanes)])
        self.left = left - MARGIN
        self.width = right - left + 2 * MARGIN

    def _draw_block(self, block: Block) -> Markup:
        row = self.plan.row_of[block.name]
        x = self.plan.x_of[block.name] - WIDTH / 2 - self.left
        third = _third_line(block, self.texts)
        lines = [(19, "t1", _title(block, self.texts)), (36, "t2", self._numbers(block))]
        if third:
            lines.append((52, "t3", third))
        written = Markup("").join(
            Markup('<text x="14" y="{}" class="{}">{}</text>').format(*line) for line in lines
        )
        return Markup(
            '<g transform="translate({x:.0f} {y:.0f})" class="layer layer-{kind}">'
            '<title>{name}</title><rect width="{w}" height="{h}" rx="6"/>'
            '<rect class="stripe" width="5" height="{h}" rx="2.5"/>{written}</g>'
        ).format(
            x=x,
            y=self.tops[row],
            kind=block.kind.replace("_", "-"),
            name=escape(block.name),
            w=WIDTH,
            h=TALL if third else LOW,
            written=written,
        )

    def _numbers(self, block: Block) -> str:
        if not block.parameters:
            return _size(block)
        return f"{_size(block)} · {self.texts.number(block.parameters)}"

    def _draw_link(self, link: Link) -> Markup:
        """Draws a line from block to block, or from or to the end of the panel."""
        source, target = self.plan.row_of[link.source], self.plan.row_of[link.target]
        x = self.plan.x_of[link.source] - self.left
        goes_on = target > self.last
        if source < self.first:
            x = self.plan.x_of[link.target] - self.left if not link.lanes else x
            path = f"M{x:.0f} {MARGIN / 2:.0f}"
            y = float(MARGIN / 2)
        else:
            y = self.tops[source] + self._height_of(link.source)
            path = f"M{x:.0f} {y:.0f}"
        for row in range(max(source + 1, self.first), min(target - 1, self.last) + 1):
            to = link.lanes[row] - self.left
            path += _bend(x, y, to, self.tops[row])
            x, y = to, self.tops[row] + self.heights[row]
            path += f"V{y:.0f}"
        if goes_on:
            path += f"V{self.height - MARGIN / 2:.0f}"
        else:
            path += _bend(x, y, self.plan.x_of[link.target] - self.left, self.tops[target] - 5)
        style = "link goes-on" if goes_on or source < self.first else "link"
        head = Markup("") if goes_on else self._draw_head(link.target)
        return Markup('<path class="{}" d="{}"/>{}').format(style, path, head)

    def _draw_head(self, target: str) -> Markup:
        x = self.plan.x_of[target] - self.left
        y = self.tops[self.plan.row_of[target]]
        return Markup('<path class="head" d="M{:.0f} {:.0f}l-4 -7h8z"/>').format(x, y - 1)

    def _height_of(self, name: str) -> float:
        block = next(it for it in self.blocks if it.name == name)
        return TALL if _third_line(block, self.texts) else LOW


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    """Gives a line down to a point, bent where it goes aside."""
    if abs(x - to_x) < 0.5:
        return f"V{to_y:.0f}"
    middle = (y + to_y) / 2
    return f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"


def _title(block: Block, texts: Texts) -> str:
    title = _kind(block.kind, texts)
    title = title[:1].upper() + title[1:]
    return f"{title} {block.kernel_size}×{block.kernel_size}" if block.kernel_size else title


def _size(block: Block) -> str:
    return "×".join(map(str, block.shape))


def _third_line(block: Block, texts: Texts) -> str:
    """Gives what acts on the output; of a backbone its name."""
    parts = [block.name[:24]] if block.kind == "backbone" else []
    return ", ".join([*parts, *(_action(it, texts) for it in block.actions)])


def _action(kind: str, texts: Texts) -> str:
    """Gives a short word for what acts on an output, so that three of them fit a box."""
    key = f"layer.short.{kind}"
    return texts.say(key) if key in texts else _kind(kind, texts)


def _kind(kind: str, texts: Texts) -> str:
    key = f"layer.{kind}"
    return texts.say(key) if key in texts else kind
