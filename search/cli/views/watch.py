"""The view of `watch`: redrawn on a terminal, printed again elsewhere."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from analysis import StudyStatus
from search.cli.views.status import show_status
from storage import is_time_up


@contextmanager
def watch_view(console: Console) -> Iterator[Callable[[StudyStatus], None]]:
    """Yield a function that shows a status."""
    if not console.is_terminal:
        yield lambda status: show_status(console, status)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(status: StudyStatus) -> None:
            drawing = Console(  # The live console would draw its own content as well.
                file=io.StringIO(),
                force_terminal=True,
                no_color=console.no_color,
                width=console.width,
                highlight=False,
                markup=False,
            )
            with drawing.capture() as drawn:
                show_status(drawing, status)
            live.update(Text.from_ansi(drawn.get().rstrip()), refresh=True)

        yield show


def is_over(status: StudyStatus) -> bool:
    """Whether a study has ended, or its budget is spent and no worker runs."""
    record = status.record
    has_ended = record.end_reason is not None or record.is_stopped or status.is_spent
    return (has_ended or is_time_up(record)) and not status.workers
