"""A table of any number of rows, laid out as rich does it, which takes a millisecond a row."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

GAP = "   "
"""Between two columns: the padding of each, and rich's divider."""
MIN_TEXT_WIDTH = 8
"""In a terminal with less room for the last column, rich makes the others narrower too."""
UNBOUNDED = 1_000_000
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class LongTable:
    """Columns of short ASCII words, aligned to the right, and a last one of texts to wrap.

    The first `n_bold` rows are bold.
    """

    names: Row
    rows: Sequence[Row]
    n_bold: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what rich's own table of all the rows would be."""
        *words, texts = zip(self.names, *self.rows, strict=True)
        widths = [max(map(len, column)) for column in words]
        text_width = max(_width(console, text) for text in set(texts))
        unbounded = options.update(max_width=UNBOUNDED)
        natural = Measurement.get(console, unbounded, self._table([*widths, text_width], []))
        excess = max(0, natural.maximum - options.max_width)
        text_width -= excess
        if excess and text_width < MIN_TEXT_WIDTH:
            yield self._table([None] * len(self.names), self.rows)
            return
        top = self._table([*widths, text_width], self.rows[: self.n_bold])
        *lines, last_line = console.render_lines(top, options, pad=False, new_lines=True)
        for line in lines:
            yield from line
        wrapped: dict[str, list[str]] = {}
        blank = [" " * width for width in widths]
        for *cells, text in self.rows[self.n_bold :]:
            if text not in wrapped:
                wrapped[text] = _wrap(console, text, text_width)
            first, *others = wrapped[text]
            aligned = map(str.rjust, cells, widths)
            yield Segment(f" {GAP.join((*aligned, first))} \n")
            for part in others:
                yield Segment(f" {GAP.join((*blank, part))} \n")
        yield from last_line

    def _table(self, widths: Sequence[int | None], rows: Sequence[Row]) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        *words, (text, text_width) = zip(self.names, widths, strict=True)
        for name, width in words:
            table.add_column(name, justify="right", no_wrap=True, width=width)
        table.add_column(text, width=text_width)
        for place, row in enumerate(rows):
            table.add_row(*row, style="bold" if place < self.n_bold else "")
        return table


def _width(console: Console, text: str) -> int:
    lines = console.render_str(text).plain.splitlines()
    return max(map(cell_len, lines), default=0)


def _wrap(console: Console, text: str, width: int) -> list[str]:
    """Return the lines of a text, each as wide as the column."""
    rendered = console.render_str(text)
    lines = rendered.wrap(
        console, width, justify="left", overflow="ellipsis", tab_size=console.tab_size
    )
    return [line.plain for line in lines]
