"""What asks a process to leave: SIGTERM of a scheduler, Ctrl-C, a terminal that is closed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

LEAVE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LEAVE_S = 15.0
"""How long a process takes at most to leave; an orderly end is a matter of ten seconds."""


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

    A process that is still within fifteen seconds after the first one is ended all the same.
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
        with _ended_at_last():
            yield caught
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


@contextmanager
def _ended_at_last() -> Iterator[None]:
    """Has a thread end the process some time after the first signal.

    A handler is run once the main thread is back in Python: not while a statement hangs, for
    instance. The file that Python writes signals to has them at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    is_over = threading.Event()
    threading.Thread(target=_end_late, args=(reader, is_over), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)


def _end_late(reader: int, is_over: threading.Event) -> None:
    with open(reader, "rb", buffering=0) as file:
        numbers = file.read(1)
    if numbers and not is_over.wait(LEAVE_S):
        os._exit(128 + numbers[0])


def _heeded() -> list[signal.Signals]:
    """Gives the signals to act on: `nohup` has a closed terminal ignored."""
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in LEAVE if not (is_kept and number == signal.SIGHUP)]
