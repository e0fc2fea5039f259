"""The health of a store: its file, the versions of its tables, its locks."""

import fcntl
import sqlite3
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from storage import tables
from storage.database.engine import make_read_only_engine
from storage.database.opening import creation_lock
from storage.database.optuna_storage import upgrade
from storage.database.store import Store
from storage.database.url import embedded_folder, parse_url, sqlite_path
from storage.embedded_postgres.client import EmbeddedServer
from storage.optuna_schema import tables as optuna_tables

LARGE_WAL_BYTES = 256 * 2**20
"""SQLite empties its log when the last connection closes; a larger log was not emptied."""
MAX_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of a store's tables, and those that this convsearch writes.

    `ours` is None without our tables; `optuna_is_older` is None if Optuna's versions are equal.
    """

    ours: int | None
    ours_known: int
    optuna: str
    optuna_known: str
    optuna_is_older: bool | None

    @property
    def is_current(self) -> bool:
        """Whether the tables can be read and written as they are."""
        return self.ours in {None, self.ours_known} and self.optuna_is_older is None


def read_versions(store: Store) -> Versions:
    """Return the versions of the tables that a store had when it was opened."""
    schema, known, is_older = store.schema, optuna_tables.REVISION, None
    if schema.optuna != known:
        versions = store.optuna_storage.get_all_versions()
        known = store.optuna_storage.get_head_version()
        is_older = None if schema.optuna == known else schema.optuna in versions
    return Versions(schema.ours, tables.SCHEMA_VERSION, schema.optuna or "none", known, is_older)


def upgrade_tables(url: str) -> None:
    """Migrate the tables of an older convsearch and of an older Optuna."""
    parsed = parse_url(url)
    folder = embedded_folder(parsed)
    server = nullcontext() if folder is None else closing(EmbeddedServer(folder, create=False))
    with server, creation_lock(parsed):
        upgrade(parsed)
    Store.open(url, create=False).close()


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite store, None for other kinds."""
    return sqlite_path(parse_url(url))


def check_sqlite(path: Path) -> list[str]:
    """Check a whole SQLite file, and return up to three problems, one line each."""
    try:
        with make_read_only_engine(
            sa.URL.create("sqlite", database=str(path))
        ).connect() as connection:
            rows = connection.exec_driver_sql(f"PRAGMA quick_check({MAX_PROBLEMS})").all()
    except DBAPIError as error:
        return [str(error.orig)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


def wal_bytes(path: Path) -> int:
    """Return the size of a SQLite file's write-ahead log, 0 if there is none."""
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.is_file() else 0


def checkpoint_wal(url: str) -> None:
    """Move the content of the write-ahead log into the file."""
    path = sqlite_file(url)
    with closing(sqlite3.connect(str(path), timeout=10)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_creation_locked(path: Path) -> bool:
    """Whether a process is making tables at this moment."""
    lock = path.with_name(path.name + ".lock")
    try:
        with lock.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
