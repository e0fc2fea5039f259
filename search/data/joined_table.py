"""A manifest with the columns of a second table, such as one of patients beside one of labels."""

import os
from pathlib import Path

from search.data.manifest_columns import guess_column
from search.data.tables import MAX_CELLS, Table, read_table
from search.errors import DataError
from spaces.wording import plural, shorten


def join_table(table: Table, file: str, path_column: str) -> tuple[Table, list[str]]:
    """Return a table with the further columns of another one, and notes on rows without a partner.

    Rows belong together if their cells are equal in the column of paths, or else in the only
    column that both tables have. A row without a partner has empty cells.

    Raises:
        DataError: If there is no such column, no partner, or several that differ.
    """
    path = Path(os.path.expanduser(file))  # noqa: PTH111
    if not path.is_file():
        raise DataError(f"Expected a table for --join. Received: {file}, which does not exist.")
    other = read_table(path)
    key = _shared_column(table, other, file, path_column)
    added = [name for name in other.columns if name and name not in table.columns]
    partners = _partners(other, key, added, file)
    keys = table.column(key)
    n_alone = sum(it not in partners for it in keys)
    if n_alone == len(keys):
        raise DataError(
            f"No row of the manifest has a partner in {file} (--join): the cells of {key!r}"
            f" differ, such as {shorten(keys[0], 60)!r} and {shorten(other.column(key)[0], 60)!r}."
        )
    if len(table.rows) * (len(table.columns) + len(added)) > MAX_CELLS:
        raise DataError(f"Expected at most {MAX_CELLS:,} cells with those of {file} (--join).")
    empty = [""] * len(added)
    rows = [row + partners.get(it, empty) for row, it in zip(table.rows, keys, strict=True)]
    columns = f"{shorten(', '.join(added), 100)}" if added else "no further columns"
    notes = [f"joined by {key}, from {path.name}: {columns}"]
    if n_alone:
        are = "has" if n_alone == 1 else "have"
        notes.append(f"{plural(n_alone, 'row')} {are} no partner in {path.name}")
    return Table([*table.columns, *added], rows, table.numbers), notes


def _shared_column(table: Table, other: Table, file: str, path_column: str) -> str:
    shared = [name for name in table.columns if name and name in other.columns]
    if path_column in shared:
        return path_column
    guess = guess_column("path", shared)
    if guess or len(shared) == 1:
        return guess or shared[0]
    raise DataError(
        f"Expected a column of images that the manifest and {file} (--join) both have."
        f" Received: {shorten(', '.join(other.columns), 200)}. Give it one name in both tables."
    )


def _partners(other: Table, key: str, added: list[str], file: str) -> dict[str, list[str]]:
    """Return the cells of the added columns by the key; repeated rows must agree."""
    places = [other.columns.index(name) for name in added]
    partners: dict[str, list[str]] = {}
    for it, row, number in zip(other.column(key), other.rows, other.numbers, strict=True):
        cells = [row[place] for place in places]
        if it and partners.setdefault(it, cells) != cells:
            raise DataError(
                f"Expected one row for each {key} in {file} (--join). Received: several that"
                f" differ for {shorten(it, 60)!r}, such as row {number:,}."
            )
    return partners
