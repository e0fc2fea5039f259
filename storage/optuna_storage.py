"""Optuna's storage as a fleet needs it: one pool of connections a process, for either store."""

from typing import Any

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
    # RDBStorage runs str.format on the URL, so its braces are doubled.
    text = (
        real_url(url).render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    )
    storage = FleetStorage(text, engine_kwargs=options)
    if url.get_backend_name() == "sqlite":
        sa.event.listen(storage.engine, "connect", _set_sqlite_pragmas)
        storage.remove_session()
        storage.engine.dispose()
    return storage


def _set_sqlite_pragmas(connection: Any, _record: object) -> None:
    """Readers and a writer at once, and a sync a checkpoint rather than a transaction."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
