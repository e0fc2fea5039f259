"""The folder of prepared sets: where it is, and how a file gets into it whole or not at all."""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from search.errors import DataError

CACHE_VARIABLE = "CONVSEARCH_CACHE"
STALE_AFTER_S = 60.0
"""A temporary file younger than this is left alone: its writer may not hold its lock yet."""

_TEMPORARY_PREFIX = ".writing-"


def default_cache_dir() -> Path:
    """Return `$CONVSEARCH_CACHE`, or `convsearch` in the user's cache folder."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "convsearch"
    user_cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(user_cache) if Path(user_cache).is_absolute() else Path.home() / ".cache"
    return base / "convsearch"


def is_cached(path: Path) -> bool:
    """Whether a prepared set is there.

    Raises:
        DataError: If its folder cannot be read.
    """
    try:
        return path.exists()
    except OSError as error:
        raise DataError(cache_error_message("read", path.parent, error)) from error


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Make `path` appear whole or not at all; a writer that is killed leaves only a stale file.

    Two processes may write one path at once: the last one wins, and both wrote the same. Nothing
    waits for the disk: who opens a set compares it with its fingerprint, and one that a power cut
    has damaged is prepared again.

    Raises:
        DataError: If the folder cannot be created or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent)
        with _temporary_file(path) as (file, temporary):
            write(file)
            file.flush()
            temporary.replace(path)
    except OSError as error:
        raise DataError(cache_error_message("write to", path.parent, error)) from error


def cache_error_message(verb: str, folder: Path, error: OSError) -> str:
    """What to tell of a cache folder that cannot be read or written to."""
    return (
        f"Cannot {verb} the cache folder {folder}: {error.strerror}."
        f" Name another one in ${CACHE_VARIABLE}."
    )


def remove_stale(folder: Path) -> None:
    """Remove temporary files whose writers are gone: a living writer holds a lock on its own."""
    for path in folder.glob(f"{_TEMPORARY_PREFIX}*"):
        with suppress(OSError):  # another process removed it, or its writer holds the lock
            if time.time() - path.stat().st_mtime > STALE_AFTER_S:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()


def lock_shared(file: BinaryIO) -> None:
    """Make an open file counted as in use until it, and whatever is mapped of it, is closed."""
    with suppress(OSError):  # some network file systems have no locks
        fcntl.flock(file, fcntl.LOCK_SH)


def remove_unused(path: Path) -> bool:
    """Remove a file unless a process of this machine holds it; False where it stays."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def _temporary_file(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(name).chmod(0o644)  # mkstemp's 0600 would hide the set from other workers' users
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
