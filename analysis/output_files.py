"""Writing of files: atomically, as CSV without formulas, or as JSON without NaN."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from storage.atomic_files import atomic_write
from storage.file_rights import make_private_file

FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets evaluate a text that begins with one of these as a formula."""

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]
"""Called with the number done, the total, and what is counted."""


def write_atomically(path: Path, content: bytes, *, is_private: bool = False) -> None:
    """Write a file completely or not at all; a device or a pipe is written to directly.

    `is_private` makes it readable by its owner alone, unless new files are shared.

    Raises:
        OSError: If it cannot be written; an existing file remains unchanged.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    with atomic_write(path, parents=False) as partial:
        if is_private:
            make_private_file(partial)
        partial.write_bytes(content)


def dump_csv(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Return rows as CSV in UTF-8, without cells that a spreadsheet would evaluate."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(escape_formula, columns))
    writer.writerows([escape_formula(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().encode()


def escape_formula(value: object) -> object:
    """Quote a text that a spreadsheet would evaluate; None becomes an empty cell."""
    if isinstance(value, str) and value.startswith(FORMULA_PREFIXES):
        return f"'{value}"
    return "" if value is None else value


def dump_json(document: Mapping[str, Any]) -> bytes:
    """Return a document without non-finite numbers as standard JSON."""
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def replace_non_finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by null."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
