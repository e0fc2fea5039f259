"""Consoles: results go to standard output, everything else to standard error."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

SLOW_S = 1.0
"""Bars of shorter work are not shown."""
REFRESH_S = 0.1
MAX_INDENTED_CHARS = 100_000
"""Longer JSON is not indented: with thousands of trials, that would take a second."""


def stdout_console() -> Console:
    """Return the console for results, without markup: names and reasons may have brackets."""
    return Console(highlight=False, markup=False)


def stderr_console() -> Console:
    """Return the console for everything but results."""
    return Console(stderr=True, highlight=False, markup=False)


def print_line(console: Console, text: str, **style: Any) -> None:
    """Print a line, wrapped on a terminal only."""
    console.print(text, soft_wrap=not console.is_terminal, **style)


def print_json(document: Any) -> None:
    """Print a JSON document on standard output, indented if it is short."""
    text = json.dumps(document)
    if len(text) <= MAX_INDENTED_CHARS:
        text = json.dumps(document, indent=2)
    sys.stdout.write(text + "\n")


def print_result(found: Any, view: Callable[[Console, Any], None], *, as_json: bool) -> None:
    """Print a result on standard output, by its view or as a JSON document."""
    if as_json:
        print_json(found.to_json())
    else:
        view(stdout_console(), found)


def step_printer(console: Console, *, is_silent: bool = False) -> Callable[[str], None]:
    """Return a function that prints the name of a step where no bar can be shown."""

    def print_step(step: str) -> None:
        if not console.is_terminal and not is_silent:
            print_line(console, step)

    return print_step


@contextmanager
def progress_bar(
    console: Console, *, in_bytes: bool = False
) -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function that shows a bar on a terminal, once the work has taken a second.

    Its arguments are what is done, the total (0 if it is unknown), and what the work is.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        auto_refresh=False,  # Its thread would prevent decoding images in processes.
    )
    drawn = time.monotonic() + SLOW_S - REFRESH_S
    tasks: dict[str, Any] = {}

    def show(done: int, total: int, what: str) -> None:
        nonlocal drawn
        is_end = 0 < total <= done and what in tasks  # The bar ends at the total.
        if time.monotonic() - drawn < REFRESH_S and not is_end:
            return
        drawn = time.monotonic()
        if not bar.live.is_started:
            bar.start()
        if what not in tasks:
            tasks[what] = bar.add_task(what.capitalize(), total=total or None)
        bar.update(tasks[what], completed=done, refresh=True)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()
