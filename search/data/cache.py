"""The cache folder of prepared sets: its location, and writing, locking and removing its files."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from search.errors import DataError
from storage.atomic_files import atomic_write, remove_stale_partials
from storage.file_rights import READ_WRITE, make_folder, make_top_folder, rights_of

CACHE_VARIABLE = "CONVSEARCH_CACHE"
LOCK_WAIT_S = 1.0


def default_cache_dir() -> Path:
    """Return `$CONVSEARCH_CACHE`, or `convsearch` in the user's cache folder."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(os.path.expanduser(chosen))  # noqa: PTH111
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "convsearch"
    user_cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(user_cache) if Path(user_cache).is_absolute() else Path.home() / ".cache"
    return base / "convsearch"


def is_cached(path: Path) -> bool:
    """Whether a file of the cache exists; `DataError` if its folder cannot be read."""
    try:
        return path.exists()
    except OSError as error:
        raise DataError(cache_error_message("read", path.parent, error)) from error


def make_cache_folder(folder: Path) -> None:
    """Make a folder of the cache, and a missing cache for this user alone.

    Raises:
        OSError: If it cannot be made.
    """
    cache = default_cache_dir()
    make_top_folder(cache if folder.is_relative_to(cache) else folder)
    make_folder(folder)


def write_cache_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file of the cache so that other processes see it whole or not at all.

    If two processes write one path at once, the last one wins; both write the same. Nothing is
    synced to the disk: a set is compared with its fingerprint when it is opened, and is prepared
    again if a power failure has damaged it.

    Raises:
        DataError: If the folder cannot be created or written to.
    """
    try:
        make_cache_folder(path.parent)
        with atomic_write(path) as partial:
            remove_stale_partials(path.parent)
            with partial.open("wb") as file:
                write(file)
    except OSError as error:
        raise DataError(cache_error_message("write to", path.parent, error)) from error


def cache_error_message(verb: str, folder: Path, error: OSError) -> str:
    """Return the message for a cache folder that cannot be read or written to."""
    return (
        f"Cannot {verb} the cache folder {folder}: {error.strerror}."
        f" Name another one in ${CACHE_VARIABLE}."
    )


@contextmanager
def cache_lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock between processes; `on_wait` is called every second until it is held.

    Raises:
        DataError: If the folder cannot be created or written to.
    """
    import fasteners

    lock = fasteners.InterProcessLock(path)
    try:
        make_cache_folder(path.parent)
        path.touch(READ_WRITE & rights_of(path.parent))
        while not lock.acquire(blocking=True, timeout=LOCK_WAIT_S):
            on_wait()
    except OSError as error:
        raise DataError(cache_error_message("write to", path.parent, error)) from error
    try:
        yield
    finally:
        lock.release()


def lock_shared(file: BinaryIO) -> None:
    """Mark an open file as in use until it and all mappings of it are closed."""
    with suppress(OSError):  # Some network file systems have no locks.
        fcntl.flock(file, fcntl.LOCK_SH)


def remove_unused(path: Path) -> bool:
    """Remove a file unless a process of this machine uses it; return whether it is gone."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
