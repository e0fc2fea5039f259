"""What asks a process to leave: SIGTERM of a scheduler, Ctrl-C, a terminal that is closed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

LEAVE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def leave_when_asked() -> None:
    """Ends the process with 128 and the signal's number, as long as it holds nothing.

    The first process of a container needs this: there a signal without a handler does nothing.
    """
    for number in _heeded():
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def stopping_when_asked(
    stop: Callable[[], None], at_once: Callable[[], None] = lambda: None
) -> Iterator[list[int]]:
    """Calls `stop` at the first signal; the second calls `at_once` and ends the process.

    Gives the signals that came. Another thread than the main one gets none.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if caught:
            at_once()
            os._exit(128 + number)
        caught.append(number)
        stop()

    known = {number: signal.signal(number, on_signal) for number in _heeded()}
    try:
        yield caught
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


def _heeded() -> list[signal.Signals]:
    """Gives the signals to act on: `nohup` has a closed terminal ignored."""
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in LEAVE if not (is_kept and number == signal.SIGHUP)]
