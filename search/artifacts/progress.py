"""Files that tell how far they are read."""

import io
from collections.abc import Callable
from pathlib import Path

Tell = Callable[[int], object]
"""Told the bytes of each part of a file as it goes."""


class Telling(io.FileIO):
    """A file, open for reading in parts."""

    def __init__(self, path: Path, tell: Tell | None = None) -> None:
        super().__init__(path)
        self._tell = tell

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads a part."""
        data = super().read(size)
        if self._tell is not None:
            self._tell(len(data))
        return data
