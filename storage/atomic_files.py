"""Atomic writes of files. With what it imports, this module needs the standard library only."""

import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.file_rights import limit_rights, make_folder

STALE_PARTIAL_S = 3600.0
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}")


@contextmanager
def atomic_write(
    path: Path, *, partial: Path | None = None, parents: bool = True, sync: bool = False
) -> Iterator[Path]:
    """Yield a path to write to; the file written there replaces `path` at the end.

    `path` stays as it was if an error is raised or nothing is written. By default, each call
    yields a new path: several processes may write `path` at once, and the last one wins.
    `partial` is another path in the same folder; `parents` makes a missing folder. With `sync`,
    the content is on the disk before it replaces `path`, which is whole after a power failure too.
    The new file has the rights of its folder, at most.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    if parents:
        make_folder(path.parent)
    partial = partial or path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield partial
        if partial.exists():
            limit_rights(partial)
            if sync:
                with partial.open("rb") as file:
                    os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_stale_partials(folder: Path) -> None:
    """Remove what `atomic_write` of killed processes left an hour ago or earlier."""
    for path in folder.glob(".*"):
        if _PARTIAL.fullmatch(path.name):
            with suppress(OSError):  # It may be gone by now, or another user's.
                # Not `st_mtime`, which hard links to a file share.
                if time.time() - path.stat().st_ctime > STALE_PARTIAL_S:
                    path.unlink()
