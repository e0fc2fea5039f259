"""Reading a table of texts from CSV, TSV, Parquet or Excel files, which are untrusted."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import DataError
from spaces.wording import shorten

EXTENSIONS = frozenset({".csv", ".tsv", ".parquet", ".xlsx"})
MAX_BYTES = 512 * 2**20
MAX_ROWS = 5_000_000
MAX_COLUMNS = 2_000
MAX_CELL = 10_000
MAX_CELLS = 50_000_000
MAX_UNPACKED = 2 * 2**30
"""Of an Excel file, which is a packed archive."""
PARQUET_ROWS = 100
"""Read at once: a Parquet file may repeat a long cell in a few bytes."""
MAX_BATCH_BYTES = PARQUET_ROWS * MAX_CELL
"""Of the different cells of a column in so many rows."""
EXCEL_ROWS = 2**20
"""Excel's own limit; the row numbers of a damaged file may be larger."""
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as texts, without spaces around them.

    Attributes:
        columns: Names of the columns.
        rows: Cells of each row, as many as there are columns.
        numbers: Number of each row in its file, where people find it.
    """

    columns: list[str]
    rows: list[list[str]]
    numbers: list[int]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        DataError: If the file is damaged, too large, or of another kind.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"Expected a table of at most {MAX_BYTES // 2**20} MiB. Received: {path} of"
            f" {size / 2**20:,.0f} MiB."
        )
    read = {".parquet": _read_parquet, ".xlsx": _read_excel}.get(path.suffix.lower(), _read_csv)
    rows = read(path)
    try:
        return _to_table(path, rows)
    except DataError:
        raise
    except Exception as error:  # Of the libraries that read untrusted files.
        reason = shorten(str(error) or type(error).__name__)
        raise DataError(f"Cannot read the table {path}: {reason}") from error


def _to_table(path: Path, rows: Iterable[tuple[int, list[Any]]]) -> Table:
    columns: list[str] = []
    cells: list[list[str]] = []
    numbers: list[int] = []
    known: dict[str, str] = {}  # Equal cells are one text.
    for n_seen, (number, row) in enumerate(rows):
        if n_seen > MAX_ROWS:
            raise DataError(f"Expected at most {MAX_ROWS:,} rows in {path}.")
        texts = [_to_text(cell) for cell in row]
        if max(map(len, texts), default=0) > MAX_CELL:
            raise DataError(
                f"Expected cells of at most {MAX_CELL:,} characters. Received: a longer one in row"
                f" {number:,} of {path}."
            )
        if not any(texts):
            continue
        if not columns:
            columns = texts
            _check_columns(path, columns)
        elif len(texts) > len(columns) and any(texts[len(columns) :]):
            raise DataError(
                f"Row {number:,} of {path} has {len(texts)} cells, and the first row names"
                f" {len(columns)} columns: it must have a name for each column."
            )
        else:
            texts += [""] * (len(columns) - len(texts))
            cells.append([known.setdefault(it, it) for it in texts[: len(columns)]])
            numbers.append(number)
            if len(cells) * len(columns) > MAX_CELLS:
                raise DataError(f"Expected at most {MAX_CELLS:,} cells in {path}.")
    if not cells:
        raise DataError(f"Expected a row of column names and rows of images in {path}.")
    return Table(columns, cells, numbers)


def _check_columns(path: Path, columns: list[str]) -> None:
    while columns and not columns[-1]:
        columns.pop()
    if len(columns) > MAX_COLUMNS:
        raise DataError(f"Expected at most {MAX_COLUMNS:,} columns in {path}.")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise DataError(f"Expected columns of different names in {path}. Twice: {twice[0]!r}.")


def _to_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float):
        if cell != cell:  # noqa: PLR0124 NaN
            return ""
        cell = int(cell) if cell.is_integer() else cell
    return str(cell).strip()


def _read_csv(path: Path) -> Iterator[tuple[int, list[Any]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte {error.start:,} is another encoding's. Save it as UTF-8."
        ) from None
    first = text.lstrip().partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(_DELIMITERS, key=first.count)
    csv.field_size_limit(MAX_CELL * 10)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for row in reader:
        yield reader.line_num, row


def _read_parquet(path: Path) -> Iterator[tuple[int, list[Any]]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"Reading {path} needs pyarrow: pip install 'convsearch[parquet]'"
        ) from None
    schema = parquet.read_schema(path)
    plain = [it.name for it in schema if not pa.types.is_nested(it.type)]
    with parquet.ParquetFile(path, read_dictionary=plain) as file:  # Equal cells take room once.
        if file.metadata.num_rows > MAX_ROWS or len(plain) > MAX_COLUMNS:
            raise DataError(
                f"Expected at most {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns in {path}."
            )
        yield 0, list(plain)
        number = 0
        for batch in file.iter_batches(PARQUET_ROWS, columns=plain):
            if any(_n_bytes(column) > MAX_BATCH_BYTES for column in batch.columns):
                raise DataError(f"{path} holds more text than a table of images has.")
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, list(row)


def _n_bytes(column: Any) -> int:
    found = getattr(column, "dictionary", column).nbytes
    return int(found)


def _read_excel(path: Path) -> Iterator[tuple[int, list[Any]]]:
    try:
        import defusedxml  # noqa: F401 openpyxl uses it where it is installed.
        from openpyxl import load_workbook
    except ImportError:
        raise DataError(
            f"Reading {path} needs openpyxl: pip install 'convsearch[excel]'"
        ) from None
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > MAX_UNPACKED:
        raise DataError(f"{path} unpacks to {unpacked / 2**30:.1f} GiB. Save it as CSV.")
    book = load_workbook(path, read_only=True, data_only=True)
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # A file may say that it has a million columns.
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            if number > EXCEL_ROWS:
                raise DataError(f"Expected at most {EXCEL_ROWS:,} rows in {path}.")
            yield number, list(row)
    finally:
        book.close()
