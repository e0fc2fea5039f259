"""Files as they are written: whole or not at all, with what any reader of them takes."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula, and runs it."""

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]
"""Told how many are done, of how many, of what."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a device or a pipe is written to as it is.

    Raises:
        OSError: If it cannot be written; what was there stays.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:  # Ctrl-C too must leave nothing half written.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def dump_csv(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Return rows as CSV in UTF-8, without a cell that a spreadsheet would run."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(escape_formula, columns))
    writer.writerows([escape_formula(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().encode()


def escape_formula(value: object) -> object:
    """Quote a text that a spreadsheet would take for a formula; nothing is an empty cell."""
    if isinstance(value, str) and value.startswith(FORMULA_PREFIXES):
        return f"'{value}"
    return "" if value is None else value


def dump_json(document: Mapping[str, Any]) -> bytes:
    """Return a document, made `replace_non_finite` before, as JSON that any reader takes."""
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def replace_non_finite(value: Any) -> Any:
    """Return a document in which numbers that JSON does not know are null."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
