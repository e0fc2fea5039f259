"""The store: one SQLite file or PostgreSQL database, with Optuna's tables and ours in it."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from storage import cluster, tables
from storage.embedded import EmbeddedServer
from storage.engine import SQLITE_TIMEOUT_S, make_engine
from storage.errors import StoreError, StoreVersionError
from storage.optuna_storage import (
    FleetStorage,
    open_for_reading,
    open_optuna_storage,
    reading_options,
)
from storage.patience import Patience
from storage.reasons import give_reason
from storage.url import embedded_folder, parse_url, show_url, sqlite_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. Cheap to share within a process, never across a fork."""

    url: URL
    optuna_storage: FleetStorage
    server: EmbeddedServer | None = None
    is_plain: bool = False
    """Whether it is a store of Optuna alone, without our tables, and open for reading."""

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> "Store":
        """Opens a store, and makes its tables where they are missing.

        Args:
            url: `sqlite:///FILE`, `postgres:FOLDER` or `postgresql://USER:PASSWORD@HOST/NAME`.
            create: Whether a missing file or folder may be made, and our tables in a store of
                Optuna alone. Without them it is open for reading, and not changed at all.

        Raises:
            StoreError: If the store cannot be reached, read or written.
            StoreVersionError: If a newer convsearch or another Optuna wrote it.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # Its lines repeat what we say.
        parsed = parse_url(url)
        path = sqlite_path(parsed)
        if path is not None:
            _check_sqlite_file(path, create=create)
        server = _start_server(parsed, create=create)
        try:
            store = None if create else cls._open_as_it_is(parsed, server)
            if store is None:
                with _creation_lock(parsed, path):
                    _check_tables(parsed)
                    store = cls(parsed, open_optuna_storage(parsed), server)
                    store._create_tables()
        except (SQLAlchemyError, StorageInternalError, ImportError) as error:
            raise StoreError(f"Cannot use {show_url(parsed)}: {give_reason(error)}") from error
        except RuntimeError as error:
            raise StoreVersionError(f"{show_url(parsed)}: {give_reason(error)}") from error
        if server is not None:
            sa.event.listen(store.engine, "do_connect", _ServerCheck(server))
        return store

    @classmethod
    def _open_as_it_is(cls, url: URL, server: EmbeddedServer | None) -> "Store | None":
        """Opens a store in which there is nothing to make, or gives None."""
        names, version = _check_tables(url)
        if not names:
            raise StoreError(
                f"There is no study in {show_url(url)}. Name another store with --store."
            )
        if version is None:
            storage = open_optuna_storage(url, are_there=True, is_plain=True)
            return cls(url, storage, server, is_plain=True)
        if version == tables.SCHEMA_VERSION and names.issuperset(tables.metadata.tables):
            return cls(url, open_optuna_storage(url, are_there=True), server)
        return None

    @classmethod
    def inspect(cls, url: str) -> "Store":
        """Opens a store as it stands, for reading alone: nothing is made, changed or locked.

        Raises:
            StoreError: If there is none, or it cannot be read.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        parsed = parse_url(url)
        path = sqlite_path(parsed)
        if path is not None and not path.is_file():
            raise StoreError(f"There is no store at {path}. Name another one with --store.")
        server = _start_server(parsed, create=False)
        try:
            names = table_names(parsed)
            if "studies" not in names:
                raise StoreError(
                    f"{show_url(parsed)} holds no studies. Name another store with --store."
                )
            is_plain = tables.versions.name not in names
            return cls(parsed, open_for_reading(parsed, any_version=True), server, is_plain)
        except (SQLAlchemyError, StorageInternalError, ImportError) as error:
            raise StoreError(f"Cannot read {show_url(parsed)}: {give_reason(error)}") from error

    @classmethod
    def check(cls, url: str) -> None:
        """Makes sure that a store can be opened, without making one that is not there yet.

        Raises:
            StoreError: As `open` does.
        """
        parsed = parse_url(url)
        path, folder = sqlite_path(parsed), embedded_folder(parsed)
        if path is not None and not path.exists():
            _check_sqlite_file(path, create=True)
        elif folder is not None and not (folder / "data").exists():
            cluster.check_folder(folder, create=True)
        else:
            cls.open(url).close()

    @staticmethod
    def file_of(url: str) -> Path | None:
        """Gives the file or folder in which a store lies here, None for a server elsewhere."""
        parsed = parse_url(url)
        return sqlite_path(parsed) or embedded_folder(parsed)

    @staticmethod
    def show(url: str) -> str:
        """Gives a URL without its password."""
        return show_url(parse_url(url))

    @property
    def engine(self) -> Engine:
        """The engine that Optuna and we share: one pool of connections a process."""
        return self.optuna_storage.engine

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return show_url(self.url)

    @property
    def patience(self) -> Patience:
        """How long the store is waited for when it is away."""
        return self.optuna_storage.patience

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Opens a connection for queries, each of them a transaction of its own."""
        with self.optuna_storage.read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Opens a short transaction that holds SQLite's write lock from its first statement.

        A transaction that reads first and writes later would fail at once, without waiting, if
        another writer came between.
        """
        with self.engine.connect() as connection:
            if self.url.get_backend_name() == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def now(self, connection: Connection) -> float:
        """Gives the time in seconds by the store's clock, which all its workers share."""
        if self.url.get_backend_name() == "sqlite":
            return time.time()
        return float(
            connection.execute(
                sa.text("SELECT extract(epoch FROM clock_timestamp())")
            ).scalar_one()
        )

    def close(self) -> None:
        """Closes all connections."""
        self.optuna_storage.remove_session()
        self.engine.dispose()
        if self.server is not None:
            self.server.close()

    def _create_tables(self) -> None:
        with self.read() as connection:  # Which needs no lock where there is nothing to do.
            names = sa.inspect(connection).get_table_names()
            if set(tables.metadata.tables).issubset(names):
                known = connection.execute(sa.select(tables.versions.c.schema_version)).scalar()
                if known == tables.SCHEMA_VERSION:
                    return
        with self.write() as connection:
            tables.metadata.create_all(connection)
            known = connection.execute(sa.select(tables.versions.c.schema_version)).scalar()
            if known is None:
                connection.execute(
                    tables.versions.insert().values(only=1, schema_version=tables.SCHEMA_VERSION)
                )
                return
            for version in range(known + 1, tables.SCHEMA_VERSION + 1):
                for statement in tables.MIGRATIONS[version]:
                    connection.exec_driver_sql(statement)
                connection.execute(tables.versions.update().values(schema_version=version))


@contextmanager
def using(store: Store | str) -> Iterator[Store]:
    """Gives a store, opened here and closed afterwards where only its URL is given."""
    if isinstance(store, Store):
        yield store
        return
    opened = Store.open(store, create=False)
    try:
        yield opened
    finally:
        opened.close()


def _start_server(url: URL, *, create: bool) -> EmbeddedServer | None:
    folder = embedded_folder(url)
    return None if folder is None else EmbeddedServer(folder, create=create)


class _ServerCheck:
    """Makes sure, before each new connection, that an embedded server runs.

    One that does not start is told as a failed connection, which is tried again as others are.
    """

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server

    def __call__(self, dialect: sa.Dialect, *_: object) -> None:
        try:
            self.server.ensure()
        except StoreError as error:
            raise dialect.loaded_dbapi.OperationalError(str(error)) from error


def _check_sqlite_file(path: Path, *, create: bool) -> None:
    """Refuses a path that SQLite would fail on later, with less to say."""
    if path.is_dir():
        raise StoreError(f"Expected a SQLite file. Received a folder: {path}")
    if not path.exists():
        if not create:
            raise StoreError(f"There is no store at {path}. Name another one with --store.")
        if not path.parent.is_dir():
            raise StoreError(f"Cannot make {path}: there is no folder {path.parent}.")
        _check_folder(path)
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
    """Whether a file is a SQLite one; asked through SQLite, which must be alone with the file.

    Closing it ourselves would drop the locks of all connections that this process has to it
    (https://sqlite.org/howtocorrupt.html, 2.2), and another process would delete the log that
    they use.
    """
    try:
        with closing(sqlite3.connect(path, timeout=SQLITE_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True


def _check_folder(path: Path) -> None:
    """Refuses a folder in which SQLite cannot put its journal."""
    if not os.access(path.parent, os.W_OK):
        raise StoreError(
            f"Cannot write to the store {path}: its folder is read-only. Name another store with "
            "--store."
        )


def _check_tables(url: URL) -> tuple[set[str], int | None]:
    """Refuses a database of something else, or of a newer convsearch, before it is changed.

    Returns:
        The names of all its tables, and the version of ours, None where there are none.
    """
    with make_engine(url).connect() as connection:
        names = set(sa.inspect(connection).get_table_names())
        if names and "studies" not in names:
            raise StoreError(
                f"{show_url(url)} holds something else. Name another store with --store."
            )
        if tables.versions.name not in names:
            return names, None
        version = connection.execute(sa.select(tables.versions.c.schema_version)).scalar()
    if version is not None and version > tables.SCHEMA_VERSION:
        raise StoreVersionError(
            f"{show_url(url)} was written by a newer convsearch (schema {version}, this one knows "
            f"{tables.SCHEMA_VERSION}). Install the newer one, or name another store with --store."
        )
    return names, version


def table_names(url: URL) -> set[str]:
    """Gives the names of the tables in a store; it is only read."""
    url, options = reading_options(url)
    with sa.create_engine(url, **options).connect() as connection:
        return set(sa.inspect(connection).get_table_names())


@contextmanager
def _creation_lock(url: URL, path: Path | None) -> Iterator[None]:
    """Lets one process at a time make tables: SQLite files broke otherwise (optuna#5385)."""
    if path is not None:
        import fasteners

        with fasteners.InterProcessLock(path.with_name(path.name + ".lock")):
            yield
        return
    with make_engine(url).connect() as connection:
        # Each of many workers that start at once holds it for a moment, so none gives up early.
        connection.execute(sa.text("SET lock_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_lock(7291830)"))
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(7291830)"))
