"""Values that no store should hold: SQLite takes any type in any column."""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from storage import tables
from storage.database.url import sqlite_path
from storage.errors import StoreDamagedError
from storage.optuna_schema import tables as optuna_tables
from storage.stored_values import damaged_value

_TYPES = {
    "INT": ("integer",),
    "BOOL": ("integer",),
    "CHAR": ("text",),
    "TEXT": ("text",),
    "DATE": ("text",),
    "BLOB": ("blob",),
    "FLOA": ("real", "integer"),
    "DOUB": ("real", "integer"),
}
"""What SQLite's `typeof` returns for the values of a column, by a part of its declared type."""
CAUSED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What such a value causes when it is used."""


def damage_behind(error: BaseException | None, url: URL) -> StoreDamagedError | None:
    """Return the error for a damaged value that another error may come from.

    None if the error has other causes, has a message of ours already, or the store is sound.
    """
    path = sqlite_path(url)
    if path is None or not isinstance(error, CAUSED) or type(error).__module__ != "builtins":
        return None
    return find_damaged_value(path)


def find_damaged_value(path: Path) -> StoreDamagedError | None:
    """Return the error for the first value that its column cannot have.

    None if there is none, or if the file cannot be read. Nothing is created or changed.
    """
    try:
        return _find_damaged_value(f"{path.absolute().as_uri()}?mode=ro")
    except sqlite3.Error:
        return None


def _find_damaged_value(uri: str) -> StoreDamagedError | None:
    with closing(sqlite3.connect(uri, uri=True)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        known = optuna_tables.TABLE_NAMES | tables.metadata.tables.keys()
        for table in sorted(known & {name for (name,) in rows}):
            columns = database.execute(f"PRAGMA table_info({table})")
            for _, column, declared, not_null, *_ in columns:
                has_value = not_null or (table, column) in _NEVER_NULL
                condition = _condition(table, column, declared, may_be_null=not has_value)
                query = f"SELECT {column} FROM {table} WHERE {condition} LIMIT 1"
                for (value,) in database.execute(query):
                    return damaged_value(value, f"in {table}.{column}")
    return None


def _condition(table: str, column: str, declared: str, *, may_be_null: bool) -> str:
    """Return the condition in SQL on values that a column cannot have.

    `typeof`, since SQLite does not look for NULL by `ISNULL` in a column without.
    """
    allowed = next((it for part, it in _TYPES.items() if part in declared), None)
    conditions = []
    if not may_be_null:
        conditions.append(f"typeof({column}) = 'null'")
    if allowed is not None:
        conditions.append(f"typeof({column}) NOT IN ('null', {_quoted(allowed)})")
    if "DATE" in declared:
        is_time = f"{column} GLOB '[0-9][0-9][0-9][0-9]-*' AND julianday({column}) NOTNULL"
        is_cut = f"length(CAST({column} AS BLOB)) > length({column})"  # At a null character.
        conditions.append(f"{column} NOTNULL AND (NOT ({is_time}) OR {is_cut})")
    if (names := _ENUMS.get((table, column))) is not None:
        conditions.append(f"{column} NOT IN ({_quoted(names)})")
    return " OR ".join(conditions) or "FALSE"


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


_NEVER_NULL = {("trials", "number"), ("trials", "study_id")}
"""Columns that Optuna declares without `NOT NULL`, and always fills."""
_ENUMS = {
    (table.name, column.name): tuple(column.type.enums)
    for table in (
        optuna_tables.trials, optuna_tables.values, optuna_tables.reports, optuna_tables.directions
    )
    for column in table.columns
    if isinstance(column.type, sa.Enum)
}  # fmt: skip
"""The values of Optuna's columns that have only a few, by table and column."""
