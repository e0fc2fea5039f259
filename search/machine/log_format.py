"""Log lines of workers: text, or one JSON object a line, with the study, trial and worker."""

import json
import logging
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

Format = Literal["text", "json"]
_context: ContextVar[Mapping[str, object]] = ContextVar(
    "log_context", default=MappingProxyType({})
)


def log_to_stderr(log_format: Format) -> None:
    """Send the process's log to standard error, a line for each record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine() if log_format == "json" else _TextLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def is_json_logged() -> bool:
    """Whether this process logs JSON."""
    return any(isinstance(it.formatter, _JsonLine) for it in logging.getLogger().handlers)


@contextmanager
def log_context(**context: object) -> Iterator[None]:
    """Add `study`, `trial` or `worker` to the records that are logged within."""
    token = _context.set({**_context.get(), **context})
    try:
        yield
    finally:
        _context.reset(token)


class _TextLine(logging.Formatter):
    """A time, a level, the study, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        study = _context.get().get("study")
        record.study = "" if study is None else f"{study}: "
        return super().format(record)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(study)s%(message)s")


class _JsonLine(logging.Formatter):
    """A JSON object with the same keys in each line, null where they do not apply."""

    def format(self, record: logging.LogRecord) -> str:
        context = _context.get()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "study": context.get("study"),
            "trial": context.get("trial"),
            "worker": context.get("worker"),
            "host": socket.gethostname(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
