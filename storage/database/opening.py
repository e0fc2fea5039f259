"""Opening a store: checking its location, and making missing tables."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from storage import tables
from storage.database.damaged_values import damage_behind
from storage.database.engine import (
    SQLITE_TIMEOUT_S,
    connect_args,
    make_engine,
    make_read_only_engine,
)
from storage.database.error_messages import explain_store_error
from storage.database.optuna_storage import create_optuna_tables, open_optuna_storage
from storage.database.retry import transient_reason
from storage.database.schema_versions import DatabaseSchema, read_schema
from storage.database.url import embedded_folder, show_url, sqlite_path
from storage.errors import StoreError, StoreMissingError, StoreVersionError
from storage.file_rights import make_file_beside


class Mode(Enum):
    """What a store is opened for: reading only, writing, or writing and making what is missing."""

    READ = "read"
    WRITE = "write"
    CREATE = "create"


def check_location(url: URL, mode: Mode) -> None:
    """Refuse a file on which SQLite would fail later with a less helpful error.

    Raises:
        StoreError: If it does not exist, is not a SQLite file, or cannot be used in this mode.
    """
    path = sqlite_path(url)
    if path is None:
        return
    if path.is_dir():
        raise StoreError(f"Expected a SQLite file. Received a folder: {path}")
    if not path.exists():
        if mode is not Mode.CREATE:
            raise StoreMissingError(f"There is no store at {path}. Name another one with --store.")
        if not path.parent.is_dir():
            raise StoreError(f"Cannot make {path}: there is no folder {path.parent}.")
        _check_folder(path)
        return
    if mode is Mode.READ:
        return
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(
            f"Cannot write to the store {path}: Permission denied. Change its permissions, or "
            "name another store with --store."
        )
    if not _is_sqlite(path):
        raise StoreError(
            f"{path} is not a SQLite store, or is damaged. Name another file with --store."
        )
    _check_folder(path)


def _is_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite one, as SQLite itself says.

    Opening and closing the file here would drop the locks of all connections of this process to it
    (https://sqlite.org/howtocorrupt.html, 2.2), and another process would delete their log.
    """
    try:
        with closing(sqlite3.connect(path, timeout=SQLITE_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True


def _check_folder(path: Path) -> None:
    """Refuse a folder in which SQLite cannot write its journal."""
    if not os.access(path.parent, os.W_OK):
        raise StoreError(
            f"Cannot write to the store {path}: its folder is read-only. Name another store with "
            "--store."
        )


def find_tables(url: URL, mode: Mode) -> DatabaseSchema:
    """Check and return the tables of a store, after making missing ones if the mode allows."""
    schema = _read_schema(url, mode)
    if not schema.is_current and (mode is Mode.CREATE or _may_be_incomplete(url, schema, mode)):
        with creation_lock(url):
            schema = _read_schema(url, mode)
            schema.check(show_url(url))
            if mode is Mode.CREATE or (schema.names and not schema.is_optuna_only):
                schema = _make_tables(url, schema)
    if mode is not Mode.READ:
        schema.check(show_url(url))
    if not schema.has_studies:
        raise StoreMissingError(
            f"There is no study in {show_url(url)}. Name another store with --store."
        )
    return schema


def _read_schema(url: URL, mode: Mode) -> DatabaseSchema:
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return DatabaseSchema()
    return read_schema(make_read_only_engine(url) if mode is Mode.READ else make_engine(url))


def _may_be_incomplete(url: URL, schema: DatabaseSchema, mode: Mode) -> bool:
    """Whether another process may be making the tables at this moment.

    A file of Optuna alone, in which convsearch has never made tables, is left untouched.
    """
    if mode is Mode.READ:
        return False
    path = sqlite_path(url)
    return path is None or not schema.is_optuna_only or _lock_path(path).exists()


def _make_tables(url: URL, schema: DatabaseSchema) -> DatabaseSchema:
    """Make missing tables, and migrate older ones of ours."""
    create_optuna_tables(url)
    storage = open_optuna_storage(url)
    with closing(storage), write_transaction(storage.engine) as connection:
        tables.metadata.create_all(connection)
        known = schema.ours
        if known is None:
            known = tables.SCHEMA_VERSION
            connection.execute(tables.versions.insert().values(only=1, schema_version=known))
        for version in range(known + 1, tables.SCHEMA_VERSION + 1):
            for statement in tables.MIGRATIONS[version]:
                connection.exec_driver_sql(statement)
            connection.execute(tables.versions.update().values(schema_version=version))
    return _read_schema(url, Mode.WRITE)


@contextmanager
def creation_lock(url: URL) -> Iterator[None]:
    """Let one process at a time make tables, as SQLite files broke otherwise (optuna#5385)."""
    path = sqlite_path(url)
    if path is not None:
        import fasteners

        make_file_beside(path, _lock_path(path))
        with fasteners.InterProcessLock(_lock_path(path)):
            yield
        return
    with make_engine(url).connect() as connection:
        # No timeout: many workers may start at once, and each holds the lock briefly.
        connection.execute(sa.text("SET lock_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_lock(7291830)"))
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(7291830)"))


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction; see `Store.write`."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        connection.commit()


def reason_to_wait(url: URL, error: Exception) -> str | None:
    """Return why a store cannot be opened yet, or None if waiting would not help.

    Waits are for another process's lock, and for a server that starts, stops or recovers. One that
    does not answer at all may be a wrong address, unless it is the embedded one.
    """
    reason = transient_reason(error)
    if reason is None or embedded_folder(url) is not None:
        return reason
    is_waiting = "lock" in reason if sqlite_path(url) else _is_rejecting(url)
    return reason if is_waiting else None


def _is_rejecting(url: URL) -> bool:
    """Whether a PostgreSQL server answers that it accepts no connections at the moment.

    Its message is in its language, and the driver has no error code before a session is open.
    """
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import PGconn, Ping

    _, options = make_engine(url).dialect.create_connect_args(url)
    options.pop("context")  # Of the driver alone.
    conninfo = make_conninfo(**{**options, **connect_args(url)})
    return PGconn.ping(conninfo.encode()) == Ping.REJECT


@contextmanager
def explaining_errors(url: URL, mode: Mode) -> Iterator[None]:
    """Convert errors of a database to a `StoreError`, or `StoreVersionError`, with advice."""
    what = f"Cannot {'read' if mode is Mode.READ else 'use'} {show_url(url)}"
    try:
        yield
    except StoreError:
        raise
    except (SQLAlchemyError, StorageInternalError, ImportError, UnicodeDecodeError) as error:
        raise StoreError(f"{what}: {explain_store_error(error)}") from error
    except OSError as error:
        raise StoreError(
            f"{what}: {error.filename or 'it'}: {error.strerror or error}. Change that, or name "
            "another store with --store."
        ) from error
    except RuntimeError as error:
        raise StoreVersionError(f"{show_url(url)}: {explain_store_error(error)}") from error
    except Exception as error:
        if (damage := damage_behind(error, url)) is None:
            raise
        raise damage from error
