"""The table of many rows prints, at any width, what rich's own table of the same rows prints."""

import io

import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from search.cli.views.long_table import LongTable

NAMES = ("rank", "trial", "val acc", "state and reason")
TEXTS = (
    "complete",
    "fail: out of memory while allocating a tensor of 1,234,567,890 bytes on the processor",
    "fail: two\nlines, and a long second one that has to be wrapped in a narrow terminal\n",
    "fail: a\ttab, 漢字を含む理由, [bold]no markup[/bold] and :warning: trailing   ",
    "fail: averylongwordwithoutanyspacethatdoesnotfitintotheroomthatisleftforitanywhere",
    "fail: \x1b[31mred\x1b[0m \x07 é 🧠",
    "",
)
ROWS = [
    ("-" if place % 3 else str(place + 1), str(place), "0.5000", text)
    for place, text in enumerate(TEXTS * 2)
]


def rich_table(rows: list[tuple[str, ...]], n_bold: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in NAMES[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(NAMES[-1])
    for place, row in enumerate(rows):
        table.add_row(*row, style="bold" if place < n_bold else "")
    return table


def draw(table: object, width: int, *, is_terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=is_terminal,
        color_system="truecolor" if is_terminal else None,
        highlight=False,
        markup=False,
        legacy_windows=False,
    )
    console.print(table)
    return stream.getvalue()


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[6:8], []])
def test_table_is_that_of_rich_at_any_width(
    rows: list[tuple[str, ...]], is_terminal: bool
) -> None:
    for n_bold in (0, 2):
        expected = rich_table(rows, n_bold)
        for width in (*range(5, 50, 3), *range(36, 44), 80, 300):
            found = draw(LongTable(NAMES, rows, n_bold), width, is_terminal=is_terminal)
            assert found == draw(expected, width, is_terminal=is_terminal), width


def test_rich_lays_out_the_head_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich measures and renders each cell of a table several times."""
    made: list[int] = []
    add_row = Table.add_row
    monkeypatch.setattr(
        Table, "add_row", lambda table, *cells, **how: (made.append(1), add_row(table, *cells))
    )
    text = draw(LongTable(NAMES, ROWS * 100, 1), 80, is_terminal=False)
    assert text.count("complete") == 200
    assert len(made) == 1
