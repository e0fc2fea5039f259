"""What asks a process to leave: SIGTERM of a scheduler, Ctrl-C, a terminal that is closed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_TIMEOUT_S = 15.0
"""How long a process takes at most to leave; an orderly end is a matter of ten seconds."""


def exit_on_signal() -> None:
    """End the process with 128 and the signal's number, as long as it holds nothing.

    The first process of a container needs this: there a signal without a handler does nothing.
    """
    for number in _handled_signals():
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def stop_on_signal(
    stop: Callable[[], None], on_second_signal: Callable[[], None] = lambda: None
) -> Iterator[list[int]]:
    """Call `stop` at the first signal; the second calls `on_second_signal` and ends the process.

    A process that is still within fifteen seconds after the first one is ended all the same.
    Gives the signals that came. Another thread than the main one gets none.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if received:
            on_second_signal()
            os._exit(128 + number)
        received.append(number)
        stop()

    known = {number: signal.signal(number, on_signal) for number in _handled_signals()}
    try:
        with _exit_deadline():
            yield received
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


@contextmanager
def _exit_deadline() -> Iterator[None]:
    """Make a thread end the process some time after the first signal.

    A handler is run once the main thread is back in Python: not while a statement hangs, for
    instance. The file that Python writes signals to has them at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    is_over = threading.Event()
    threading.Thread(target=_force_exit, args=(reader, is_over), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)


def _force_exit(reader: int, is_over: threading.Event) -> None:
    with open(reader, "rb", buffering=0) as file:
        numbers = file.read(1)
    if numbers and not is_over.wait(EXIT_TIMEOUT_S):
        os._exit(128 + numbers[0])


def _handled_signals() -> list[signal.Signals]:
    """Return the signals to act on: `nohup` has a closed terminal ignored."""
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in STOP_SIGNALS if not (is_kept and number == signal.SIGHUP)]
