"""Engines: how a process connects to either kind of store, and all timeouts."""

import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

from storage.database.url import embedded_folder
from storage.embedded_postgres import data_folder

SQLITE_TIMEOUT_S = 2.0
"""How long SQLite itself waits for another writer, without handling signals, before a retry."""
CONNECT_TIMEOUT_S = 10
"""For each address of a host; psycopg's own is 130 s. The URL may set `?connect_timeout=`."""
SERVER_TIMEOUTS_S = {
    "statement_timeout": 300,
    "lock_timeout": 60,
    "idle_in_transaction_session_timeout": 30,
}
"""A worker that is suspended within a transaction loses its session and its locks before the
retries of others end. No transaction of ours is idle for 30 s."""
KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A lost machine is noticed within a minute; by default it takes two hours."""


def sqlalchemy_url(url: URL) -> URL:
    """Return the URL for SQLAlchemy: for an embedded PostgreSQL, that of its server."""
    folder = embedded_folder(url)
    if folder is None:
        return url
    return URL.create(
        "postgresql+psycopg",
        username=data_folder.SUPERUSER,
        database="postgres",
        query={"host": str(data_folder.socket_folder(folder)), "port": str(data_folder.PORT)},
    )


class WalConnection(sqlite3.Connection):
    """A connection with a write-ahead log: readers do not block, and not each commit is synced."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        try:
            self.execute("PRAGMA journal_mode=WAL")
            self.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            self.close()
            raise


def connect_args(url: URL, *, use_wal: bool = False) -> dict[str, Any]:
    """Return the options of a connection; options in the URL take precedence."""
    if url.get_backend_name() == "sqlite":
        factory = WalConnection if use_wal else sqlite3.Connection
        return {"timeout": SQLITE_TIMEOUT_S, "factory": factory}
    query = sqlalchemy_url(url).query
    wanted: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, **KEEPALIVES}
    given = {name: value for name, value in wanted.items() if name not in query}
    timeouts = " ".join(f"-c {name}={1000 * s}" for name, s in SERVER_TIMEOUTS_S.items())
    return {**given, "options": f"{timeouts} {query.get('options', '')}".strip()}


def make_engine(url: URL) -> Engine:
    """Make an engine for a few statements, without a pool and without transactions."""
    return sa.create_engine(
        sqlalchemy_url(url),
        poolclass=sa.pool.NullPool,
        connect_args=connect_args(url),
        isolation_level="AUTOCOMMIT",
    )


def make_read_only_engine(url: URL) -> Engine:
    """Make an engine that cannot write, without a pool."""
    url, options = read_only_options(url)
    return sa.create_engine(url, **options)


def read_only_options(url: URL) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the options of an engine that cannot write."""
    options: dict[str, Any] = {"poolclass": sa.pool.NullPool}
    if url.get_backend_name() == "sqlite":
        options["creator"] = partial(_connect_read_only, Path(str(url.database)).absolute())
        url = url.set(query={})
    else:
        arguments = connect_args(url)
        arguments["options"] += " -c default_transaction_read_only=on"
        options["connect_args"] = arguments
    return sqlalchemy_url(url), options


def _connect_read_only(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(path))}?mode=ro"
    shared = path.with_name(path.name + "-shm")
    if not os.access(path.parent, os.W_OK) and not shared.exists():
        # No process writes now, and readers cannot make the shared file.
        address += "&immutable=1"
    return sqlite3.connect(address, SQLITE_TIMEOUT_S, check_same_thread=False, uri=True)
