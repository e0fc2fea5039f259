"""Layout of the blocks of a network: rows from input to output, branches side by side.

A connection that passes rows has a lane beside their blocks. After Sugiyama et al., "Methods
for Visual Understanding of Hierarchical System Structures", 1981, for graphs as small as ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from analysis.report.architecture.blocks import Block

WIDTH = 176
GAP = 18
LANE = 16


@dataclass(frozen=True, slots=True)
class Link:
    """A connection of two blocks; `lanes` are its positions in the rows that it passes."""

    source: str
    target: str
    lanes: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of blocks, by name, the middle of each block, and the links."""

    row_of: Mapping[str, int]
    x_of: Mapping[str, float]
    links: tuple[Link, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return 1 + max(self.row_of.values(), default=-1)


def place_blocks(blocks: Sequence[Block]) -> Layout:
    """Assign each block a row below its inputs, which precede it, and a position that is free."""
    row_of: dict[str, int] = {}
    for block in blocks:
        row_of[block.name] = 1 + max((row_of[name] for name in block.inputs), default=-1)
    rows: list[list[Block]] = [[] for _ in range(1 + max(row_of.values(), default=-1))]
    for block in blocks:
        rows[row_of[block.name]].append(block)
    x_of: dict[str, float] = {}
    for row in rows:
        wanted = [_mean([x_of[name] for name in block.inputs]) for block in row]
        order = sorted(range(len(row)), key=wanted.__getitem__)
        for place, x in zip(order, _spread([wanted[i] for i in order]), strict=True):
            x_of[row[place].name] = x
    return Layout(row_of, x_of, _link(blocks, rows, row_of, x_of))


def split_rows(layout: Layout, max_rows: int) -> list[tuple[int, int]]:
    """Return runs of rows (first, last), of at most `max_rows` where the network allows it.

    The network is cut only below a single block, into runs of about equal length.
    """
    n_runs = max(1, ceil(layout.n_rows / max_rows))
    max_rows = ceil(layout.n_rows / n_runs)
    is_cut = [True] * layout.n_rows
    for row in range(layout.n_rows - 1):
        passing = {
            link.source
            for link in layout.links
            if layout.row_of[link.source] <= row < layout.row_of[link.target]
        }
        is_cut[row] = len(passing) == 1 and layout.row_of[next(iter(passing))] == row
    runs: list[tuple[int, int]] = []
    first = last = 0
    for row in range(layout.n_rows):
        if not is_cut[row]:
            continue
        if row - first >= max_rows and first <= last < row:
            runs.append((first, last))
            first = last + 1
        last = row
    runs.append((first, layout.n_rows - 1))
    return runs


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _spread(wanted: Sequence[float]) -> list[float]:
    """Return the positions nearest to the wanted, ascending ones that have room for blocks.

    Neighbors that would overlap are pooled around the mean of their wanted positions.
    """
    step = WIDTH + GAP
    pools: list[list[float]] = []
    for place, x in enumerate(wanted):
        pools.append([x - place * step])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    flat = [_mean(pool) for pool in pools for _ in pool]
    return [x + place * step for place, x in enumerate(flat)]


def _link(
    blocks: Sequence[Block],
    rows: Sequence[Sequence[Block]],
    row_of: Mapping[str, int],
    x_of: Mapping[str, float],
) -> tuple[Link, ...]:
    taken: dict[int, list[tuple[float, str]]] = {}
    links = []
    for block in blocks:
        for source in block.inputs:
            lanes: dict[int, float] = {}
            x = x_of[source]
            for row in range(row_of[source] + 1, row_of[block.name]):
                others = [at for at, owner in taken.get(row, []) if owner != source]
                x = _free_lane(x, [x_of[it.name] for it in rows[row]], others)
                taken.setdefault(row, []).append((x, source))
                lanes[row] = x
            links.append(Link(source, block.name, lanes))
    return tuple(links)


def _free_lane(x: float, blocks: Sequence[float], lanes: Sequence[float]) -> float:
    """Return the position nearest to `x` where a line crosses neither a block nor another line."""
    blocked = [(it, WIDTH / 2 + LANE) for it in blocks] + [(it, float(LANE)) for it in lanes]
    choices = [x] + [at + side * reach for at, reach in blocked for side in (1, -1)]
    free = [it for it in choices if all(abs(it - at) >= reach - 1e-6 for at, reach in blocked)]
    return min(free, key=lambda it: (abs(it - x), -it))
