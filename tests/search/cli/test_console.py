"""Consoles: progress bars reach their end, and without a bar a line announces each step."""

import io

import pytest
from rich.console import Console

from search.cli import console as consoles
from search.cli.console import progress_bar, step_printer


def make_console(*, is_terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=80)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_shown_bar_always_reaches_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consoles, "SLOW_S", 0.0)
    console = make_console(is_terminal=True)
    with progress_bar(console) as progress:
        progress(2, 4, "steps")
        progress(3, 4, "steps")
        progress(4, 4, "steps")
    assert "2/4" in text_of(console)
    assert "3/4" not in text_of(console)
    assert "4/4" in text_of(console)


def test_work_that_ends_at_once_shows_no_bar() -> None:
    console = make_console(is_terminal=True)
    with progress_bar(console) as progress:
        progress(4, 4, "steps")
    assert text_of(console) == ""


@pytest.mark.parametrize("total", [3_000_000, 0])
def test_bytes_are_shown_in_larger_units(monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    monkeypatch.setattr(consoles, "SLOW_S", 0.0)
    console = make_console(is_terminal=True)
    with progress_bar(console, in_bytes=True) as progress:
        progress(1_500_000, total, "download")
    assert ("1.5/3.0 MB" if total else "1.5/? MB") in text_of(console)


@pytest.mark.parametrize(
    ("is_terminal", "is_silent", "shown"),
    [(False, False, "Reading\n"), (True, False, ""), (False, True, "")],
)
def test_steps_are_printed_where_no_bar_shows_them(
    is_terminal: bool, is_silent: bool, shown: str
) -> None:
    console = make_console(is_terminal=is_terminal)
    step_printer(console, is_silent=is_silent)("Reading")
    assert text_of(console) == shown
