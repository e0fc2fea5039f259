"""Optuna's storage as a fleet needs it: one pool of connections a process, for either store."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL

from storage.engine import connect_args, real_url


class FleetStorage(RDBStorage):
    """Optuna's own storage, on its own tables."""


def open_optuna_storage(url: URL) -> FleetStorage:
    """Opens Optuna's storage at a URL, and makes its tables where they are missing."""
    options: dict[str, Any] = {"connect_args": connect_args(url)}
    if url.get_backend_name() != "sqlite":
        options |= {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True}
    storage = FleetStorage(_escaped(url), engine_kwargs=options)
    if url.get_backend_name() == "sqlite":
        sa.event.listen(storage.engine, "connect", _set_sqlite_pragmas)
        storage.remove_session()
        storage.engine.dispose()
    return storage


def open_for_reading(url: URL) -> FleetStorage:
    """Opens Optuna's storage as it stands: whatever is asked of it, nothing can be written."""
    url, options = reading_options(url)
    return FleetStorage(
        _escaped(url),
        engine_kwargs=options,
        skip_compatibility_check=True,
        skip_table_creation=True,
    )


def upgrade(url: URL) -> None:
    """Brings Optuna's tables of an older Optuna up to this one's."""
    options = {"connect_args": connect_args(url)}
    storage = FleetStorage(_escaped(url), engine_kwargs=options, skip_compatibility_check=True)
    storage.upgrade()
    storage.remove_session()
    storage.engine.dispose()


def reading_options(url: URL) -> tuple[URL, dict[str, Any]]:
    """Gives the URL and the options of an engine that cannot write."""
    arguments = connect_args(url)
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database)).absolute()
        query = {"mode": "ro", "uri": "true"}
        if not os.access(path.parent, os.W_OK):
            query["immutable"] = "1"  # There is no room for the file that readers share.
        url = url.set(database=f"file:{quote(str(path))}", query=query)
    else:
        arguments["options"] += " -c default_transaction_read_only=on"
    return real_url(url), {"poolclass": sa.pool.NullPool, "connect_args": arguments}


def _escaped(url: URL) -> str:
    """Gives the URL for `RDBStorage`, which runs `str.format` on it: braces are doubled."""
    text = real_url(url).render_as_string(hide_password=False)
    return text.replace("{", "{{").replace("}", "}}")


def _set_sqlite_pragmas(connection: Any, _record: object) -> None:
    """Readers and a writer at once, and a sync a checkpoint rather than a transaction."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
