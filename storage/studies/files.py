"""Files in the store, for workers that share a database but no folder.

A file is written in chunks under a new id. A last short transaction gives it its name, and deletes
the file that had the name: readers see the old file or the new one, never a mix. Each step may be
repeated, in case the answer to a commit was lost.
"""

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from storage.database.error_messages import driver_message
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.database.url import hide_passwords
from storage.errors import StoreError, StoreFullError
from storage.tables import chunks, files, versions

CHUNK_BYTES = 2**20
STALE_S = 600.0
"""The writer of an incomplete file that gets no chunk for so long is dead."""


def put_file(store: Store, name: str, file: BinaryIO, *, max_bytes: int) -> None:
    """Save all of a file under a name of at most 255 characters, replacing the file of that name.

    `max_bytes` limits all files of the store together.

    Raises:
        StoreFullError: If the files would exceed the limit.
        StoreError: If the store cannot be written.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with _explaining_errors(store, "keep", name):
        file_id = uuid.uuid4().hex
        _begin(store, file_id, name, size, max_bytes)
        try:
            digest = hashlib.sha256()
            for position, data in enumerate(iter(lambda: file.read(CHUNK_BYTES), b"")):
                digest.update(data)
                _add_chunk(store, file_id, position, data)
            _complete(store, file_id, name, digest.hexdigest())
        except BaseException:
            with suppress(SQLAlchemyError), store.write() as connection:
                _remove(connection, files.c.file_id == file_id)
            raise


def get_file(store: Store, name: str, file: BinaryIO) -> bool:
    """Copy the file of that name into an open one; return False if there is none.

    A file that is replaced while it is read is read again.

    Raises:
        StoreError: If the store cannot be read, or the file in it is damaged.
    """
    read_id = None
    with _explaining_errors(store, "read", name):
        while (found := _find(store, name)) is not None:
            if found.file_id == read_id:  # It was not replaced.
                raise StoreError(f"The file {name} in {store.shown_url} is damaged.")
            read_id = found.file_id
            file.seek(0)
            file.truncate()
            if _copy(store, read_id, file) == found.sha256:
                return True
    return False


def delete_files(store: Store, names: Iterable[str]) -> None:
    """Delete the files of these names, as far as they exist.

    Raises:
        StoreError: If the store cannot be written.
    """
    wanted = list(names)
    if wanted:
        with _explaining_errors(store, "delete", wanted[0]):
            _delete(store, wanted)


def list_files(store: Store, prefix: str = "") -> dict[str, int]:
    """Return the sizes in bytes, by name, of the files whose names begin with a prefix.

    Raises:
        StoreError: If the store cannot be read.
    """
    with _explaining_errors(store, "list", f"{prefix}*"):
        return _list(store, prefix)


@with_retry
def _delete(store: Store, names: Sequence[str]) -> None:
    with store.write() as connection:
        _lock(connection)
        _remove(connection, files.c.name.in_(names), files.c.sha256.is_not(None))


@with_retry
def _list(store: Store, prefix: str) -> dict[str, int]:
    with store.read() as connection:
        rows = connection.execute(
            sa.select(files.c.name, files.c.size)
            .where(files.c.sha256.is_not(None), files.c.name.startswith(prefix, autoescape=True))
            .order_by(files.c.name)
        )
        # SQLite's LIKE ignores case.
        return {name: size for name, size in rows if name.startswith(prefix)}


@with_retry
def _begin(store: Store, file_id: str, name: str, size: int, max_bytes: int) -> None:
    """Add a file without chunks, if there is room for it."""
    with store.write() as connection:
        _lock(connection)
        now = store.now(connection)
        _remove(connection, files.c.sha256.is_(None), files.c.touched_at < now - STALE_S)
        others: int = connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(files.c.size), 0)).where(files.c.name != name)
        ).scalar_one()
        if others + size > max_bytes:
            raise StoreFullError(
                f"No room for {name} ({_mb(size)}) in {store.shown_url}: its files take "
                f"{_mb(others)} of {_mb(max_bytes)}. Delete studies, or raise `max_files_mb` in "
                "[store]."
            )
        _remove(connection, files.c.file_id == file_id)
        connection.execute(
            files.insert().values(file_id=file_id, name=name, size=size, touched_at=now)
        )


@with_retry
def _add_chunk(store: Store, file_id: str, position: int, data: bytes) -> None:
    with store.write() as connection:
        _update(connection, file_id, touched_at=store.now(connection))
        connection.execute(
            chunks.delete().where(chunks.c.file_id == file_id, chunks.c.position == position)
        )
        connection.execute(chunks.insert().values(file_id=file_id, position=position, data=data))


@with_retry
def _complete(store: Store, file_id: str, name: str, sha256: str) -> None:
    """Give the file its name, and remove the file that had it."""
    with store.write() as connection:
        _lock(connection)
        _remove(
            connection,
            files.c.name == name,
            files.c.sha256.is_not(None),
            files.c.file_id != file_id,
        )
        _update(connection, file_id, sha256=sha256)


def _update(connection: Connection, file_id: str, **values: Any) -> None:
    result = connection.execute(files.update().where(files.c.file_id == file_id).values(**values))
    if result.rowcount != 1:
        raise StoreError("A file was not kept: its writer was considered dead. Try again.")


@with_retry
def _find(store: Store, name: str) -> Any:
    with store.read() as connection:
        return connection.execute(
            sa.select(files.c.file_id, files.c.sha256).where(
                files.c.name == name, files.c.sha256.is_not(None)
            )
        ).first()


def _copy(store: Store, file_id: str, file: BinaryIO) -> str:
    """Copy a file's chunks, and return their SHA-256."""
    digest, position = hashlib.sha256(), 0
    while (data := _load_chunk(store, file_id, position)) is not None:
        digest.update(data)
        file.write(data)
        position += 1
    return digest.hexdigest()


@with_retry
def _load_chunk(store: Store, file_id: str, position: int) -> bytes | None:
    with store.read() as connection:
        return connection.execute(
            sa.select(chunks.c.data).where(
                chunks.c.file_id == file_id, chunks.c.position == position
            )
        ).scalar()


def _remove(connection: Connection, *conditions: sa.ColumnElement[bool]) -> None:
    """Delete the files that meet all conditions, with their chunks."""
    gone = connection.execute(files.delete().where(*conditions).returning(files.c.file_id))
    connection.execute(chunks.delete().where(chunks.c.file_id.in_(gone.scalars().all())))


def _lock(connection: Connection) -> None:
    """Let one transaction at a time name, count or delete files, by locking a permanent row."""
    connection.execute(sa.select(versions.c.only).with_for_update())


@contextmanager
def _explaining_errors(store: Store, verb: str, name: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = hide_passwords(driver_message(error))
        raise StoreError(f"Cannot {verb} {name} in {store.shown_url}: {reason}") from error


def _mb(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
