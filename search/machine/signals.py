"""Stopping on signals: SIGTERM of a scheduler, Ctrl-C, a closed terminal."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_TIMEOUT_S = 15.0  # From the first signal to a forced exit; an orderly end takes ten.


def exit_on_signal() -> None:
    """Exit with 128 plus the signal's number; for a process that has nothing to clean up.

    The first process of a container needs a handler: without one a signal does nothing there.
    """
    for number in _handled_signals():
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def stop_on_signal(
    stop: Callable[[], None], on_second_signal: Callable[[], None] = lambda: None
) -> Iterator[list[int]]:
    """Call `stop` at the first signal; the second calls `on_second_signal` and ends the process.

    If the block has not ended fifteen seconds after the first signal, the process is ended.
    Yields the list of signals received; outside of the main thread it stays empty.
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
    """End the process from a thread `EXIT_TIMEOUT_S` after the first signal.

    Handlers run only once the main thread is back in Python, not while a statement hangs.
    Signals are written to the wakeup file descriptor at once.
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
    """Return the signals to act on; under `nohup` SIGHUP stays ignored."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in STOP_SIGNALS if not (is_ignored and number == signal.SIGHUP)]
