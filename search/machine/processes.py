"""Child processes: the environment they are started with, and how they notice that we ended."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def python_path() -> dict[str, str]:
    """Let a child find the packages that this process runs, installed or not."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": root if not known else os.pathsep.join((root, known))}


def call_when_stdin_closes(stop: Callable[[], None]) -> None:
    """Call `stop` from a thread once whoever started this process has closed its input."""
    threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()


def _wait_for_eof(stop: Callable[[], None]) -> None:
    # Not `sys.stdin`: a thread that still holds its lock makes the interpreter's end crash.
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop()
