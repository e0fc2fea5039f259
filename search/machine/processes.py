"""Child processes: their command, environment and output, and the end of their parent."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

SENT_SIGNALS = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours, or of a package, in a child process.

    Python's option `-P` keeps the current folder, which may hold a `numpy.py` of somebody else,
    out of the places where modules are looked for; `child_environment` says where ours are.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def file_command(program: Path, *arguments: str) -> list[str]:
    """Return the command that runs a file of ours that imports nothing of ours in a child."""
    return [sys.executable, "-P", str(program), *arguments]


def child_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with more variables, for a child that runs our code.

    A child finds the packages that run here, installed or not.
    """
    paths = (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **variables}


def find_signal(code: int) -> str | None:
    """Return the name of the signal by which somebody ended a process, or None.

    Signals of a process's own faults, such as SIGSEGV, are not among them.
    """
    number = -code if code < 0 else code - 128  # 143: a worker that released its trial on SIGTERM
    return signal.Signals(number).name if number in SENT_SIGNALS else None


def last_lines(text: str, n: int = 1) -> list[str]:
    """Return the end of what a child printed."""
    return text.strip().splitlines()[-n:]


def call_when_stdin_closes(stop: Callable[[], None]) -> None:
    """Call `stop` from a thread once the parent process has closed this one's standard input."""
    threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()


def _wait_for_eof(stop: Callable[[], None]) -> None:
    # Not `sys.stdin`: a thread that still holds its lock makes the interpreter's end crash.
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop()
