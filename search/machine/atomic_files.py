"""Files that appear whole or not at all."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE_PARTIAL_S = 3600.0
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Return a path to write to; what is there at the end takes the place of `path`.

    Nothing there at the end, or an error, leaves `path` as it was.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield partial
        if partial.exists():
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_stale_partials(folder: Path) -> None:
    """Remove what processes that were killed had begun to write, an hour ago or earlier."""
    for path in folder.glob(".*"):
        if _PARTIAL.fullmatch(path.name):
            with suppress(OSError):  # It may be gone by now, or another user's.
                # Not the time of its content, which a second name for a file shares.
                if time.time() - path.stat().st_ctime > STALE_PARTIAL_S:
                    path.unlink()
