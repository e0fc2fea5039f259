"""Whether an open store is still the one that was opened.

SQLite keeps writing to a deleted file, and makes an empty one for its next connection; an embedded
PostgreSQL makes new data in an empty folder. Both would lose everything without an error.
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

from storage.database.url import embedded_folder, show_url, sqlite_path
from storage.errors import StoreLostError

DATABASE_QUERY = """
SELECT oid::text, CASE WHEN has_function_privilege('pg_control_system()', 'execute')
                       THEN (SELECT system_identifier FROM pg_control_system())::text END
FROM pg_database WHERE datname = current_database()
"""
"""Identifies a database of a PostgreSQL cluster; both numbers are the same on its replicas."""


def watch_identity(url: URL, engine: Engine) -> None:
    """Make an engine raise `StoreLostError` once its store was deleted, moved or replaced.

    Files are compared whenever a connection is used, databases whenever one is made.
    """
    embedded, file = embedded_folder(url), sqlite_path(url)
    place = file if embedded is None else embedded / "data"
    if place is not None:
        check_place = _PlaceCheck(place.absolute(), show_url(url))
        sa.event.listen(engine, "do_connect", check_place)
        sa.event.listen(engine, "checkout", check_place)
    if file is None:
        sa.event.listen(engine, "connect", _DatabaseCheck(show_url(url)))


class _PlaceCheck:
    """Compares the file system's number of a file or folder with its first one."""

    def __init__(self, place: Path, shown_url: str) -> None:
        self.place = place
        self.shown_url = shown_url
        self.first = _identify(place)

    def __call__(self, *_: object) -> None:
        found = _identify(self.place)
        if found != self.first:
            what = "was deleted or moved" if found is None else "was replaced by another one"
            raise StoreLostError(
                f"{self.shown_url} {what} while it was in use. If it was moved, name its new "
                "place with --store, and run the same command again."
            )


class _DatabaseCheck:
    """Compares the numbers of a database, and of its server, with the first ones."""

    def __init__(self, shown_url: str) -> None:
        self.shown_url = shown_url
        self.first: tuple[object, ...] | None = None

    def __call__(self, connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(DATABASE_QUERY)
        found = cursor.fetchone()
        cursor.close()
        connection.rollback()
        self.first = self.first or found
        if found != self.first:
            raise StoreLostError(
                f"{self.shown_url} was replaced by another database while it was in use. Run the "
                "same command again to use that one."
            )


def _identify(place: Path) -> tuple[int, int] | None:
    """Return device and number of a file or folder; None if there is none."""
    try:
        found = place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
