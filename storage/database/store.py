"""The store: one SQLite file or PostgreSQL database, with Optuna's tables and ours in it."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import optuna
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from storage.database.damaged_values import damage_behind
from storage.database.error_messages import explain_store_error
from storage.database.identity import watch_identity
from storage.database.opening import (
    Mode,
    check_location,
    explaining_errors,
    find_tables,
    reason_to_wait,
    write_transaction,
)
from storage.database.optuna_storage import PooledRDBStorage, open_optuna_storage, open_read_only
from storage.database.retry import (
    LOG_AFTER_S,
    RETRY_TIMEOUT_S,
    RetryPolicy,
    call_with_retry,
)
from storage.database.schema_versions import DatabaseSchema
from storage.database.url import embedded_folder, parse_url, show_url, sqlite_path
from storage.embedded_postgres import data_folder
from storage.embedded_postgres.client import EmbeddedServer
from storage.errors import StoreError
from storage.file_rights import make_private_file
from storage.optuna_internals import check_optuna_version


@dataclass(frozen=True, slots=True)
class Store:
    """An open store, to share within a process but not across a fork; `schema` is as of `open`."""

    url: URL
    optuna_storage: PooledRDBStorage
    schema: DatabaseSchema
    server: EmbeddedServer | None = None

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> "Store":
        """Open `sqlite:///FILE`, `postgres:FOLDER` or `postgresql://USER:PASSWORD@HOST/NAME`.

        With `create`, a missing file or folder is made, and our tables in a store of Optuna alone.
        Such a store is otherwise opened for reading, and not changed.

        Raises:
            StoreError: If the store cannot be reached, read or written.
            StoreVersionError: If the store or the installed Optuna has an unsupported version.
        """
        return cls._open(url, Mode.CREATE if create else Mode.WRITE)

    @classmethod
    def inspect(cls, url: str) -> "Store":
        """Open a store for reading only: nothing is created, changed or locked.

        Raises:
            StoreError: If there is none, or it cannot be read.
        """
        return cls._open(url, Mode.READ)

    @classmethod
    def _open(cls, url: str, mode: Mode) -> "Store":
        """Open a store; wait for one that is locked, or whose server starts or recovers."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # Its log repeats ours.
        parsed = parse_url(url)
        check_optuna_version()
        deadline = time.monotonic() + RETRY_TIMEOUT_S
        return call_with_retry(
            lambda: cls._open_once(parsed, mode),
            reason_of=partial(reason_to_wait, parsed),
            is_over=lambda: time.monotonic() > deadline,
            what="the store",
            log_after_s=LOG_AFTER_S,
        )

    @classmethod
    def _open_once(cls, parsed: URL, mode: Mode) -> "Store":
        with explaining_errors(parsed, mode), ExitStack() as undo:
            check_location(parsed, mode)
            file, folder, server = sqlite_path(parsed), embedded_folder(parsed), None
            if file is not None and mode is Mode.CREATE:
                make_private_file(file)
            if folder is not None:
                server = EmbeddedServer(folder, create=mode is Mode.CREATE)
                undo.callback(server.close)
            schema = find_tables(parsed, mode)
            if mode is Mode.READ:
                storage = open_read_only(parsed)
            else:
                storage = open_optuna_storage(parsed, is_optuna_only=schema.is_optuna_only)
            if mode is not Mode.READ:
                watch_identity(parsed, storage.engine)
            if server is not None:
                sa.event.listen(storage.engine, "do_connect", _ServerCheck(server, storage.retry))
            undo.pop_all()
        return cls(parsed, storage, schema, server)

    @classmethod
    def check(cls, url: str) -> None:
        """Check that a store can be opened, without making its file or folder.

        Raises:
            StoreError: If it cannot.
        """
        parsed = parse_url(url)
        path, folder = sqlite_path(parsed), embedded_folder(parsed)
        if path is not None and not path.exists():
            check_location(parsed, Mode.CREATE)
        elif folder is not None and not (folder / "data").exists():
            data_folder.check_folder(folder, create=True)
        else:
            cls.open(url).close()

    @staticmethod
    def file_of(url: str) -> Path | None:
        """Return the file or folder of a store, None for a server."""
        parsed = parse_url(url)
        return sqlite_path(parsed) or embedded_folder(parsed)

    @staticmethod
    def show(url: str) -> str:
        """Return a URL without its password."""
        return show_url(parse_url(url))

    @property
    def is_optuna_only(self) -> bool:
        """Whether it is a store of Optuna alone, without our tables, opened for reading."""
        return self.schema.is_optuna_only

    @property
    def engine(self) -> Engine:
        """The engine that Optuna's storage and ours share: one pool for each process."""
        return self.optuna_storage.engine

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return show_url(self.url)

    @property
    def retry(self) -> RetryPolicy:
        """How long calls are retried while the store does not answer."""
        return self.optuna_storage.retry

    def read(self) -> Connection:
        """Open a connection for queries, each of them a transaction of its own."""
        return self.optuna_storage.read()

    def write(self) -> AbstractContextManager[Connection]:
        """Open a short transaction that holds SQLite's write lock from its first statement.

        One that reads before it writes would fail at once if another writer came between.
        """
        return write_transaction(self.engine)

    def now(self, connection: Connection) -> float:
        """Return the time in seconds by the store's clock, which all its workers share."""
        if self.url.get_backend_name() == "sqlite":
            return time.time()
        return float(
            connection.execute(
                sa.text("SELECT extract(epoch FROM clock_timestamp())")
            ).scalar_one()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.close()
        if (damage := damage_behind(error, self.url)) is not None:
            raise damage from error

    def close(self) -> None:
        """Close all connections."""
        self.optuna_storage.close()
        if self.server is not None:
            self.server.close()


@contextmanager
def opened_store(store: Store | str) -> Iterator[Store]:
    """Yield a store; one that is given by its URL is opened, and closed at the end.

    Raises:
        StoreError: If a store that is given by its URL cannot be opened or read.
    """
    if isinstance(store, Store):
        yield store
        return
    with Store.open(store, create=False) as opened:
        try:
            yield opened
        except (SQLAlchemyError, StorageInternalError, UnicodeDecodeError) as error:
            raise StoreError(
                f"Cannot read {opened.shown_url}: {explain_store_error(error)}"
            ) from error


class _ServerCheck:
    """Ensures before each new connection that an embedded server runs.

    A server that does not start is a failed connection, which is retried as others are.
    """

    def __init__(self, server: EmbeddedServer, retry: RetryPolicy) -> None:
        self.server = server
        self.retry = retry

    def __call__(self, dialect: sa.Dialect, *_: object) -> None:
        try:
            self.server.ensure_running(lambda: self.retry.is_shutting_down)
        except StoreError as error:
            raise dialect.loaded_dbapi.OperationalError(str(error)) from error
