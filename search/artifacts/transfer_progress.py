"""Files that report the progress of reading them."""

import io
from collections.abc import Callable
from pathlib import Path

ByteCallback = Callable[[int], object]
"""Called with the number of bytes of each part of a file."""


class ProgressReader(io.FileIO):
    """A file that is read in parts, with a callback for each."""

    def __init__(self, path: Path, on_bytes: ByteCallback | None = None) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a part."""
        data = super().read(size)
        if self._on_bytes is not None:
            self._on_bytes(len(data))
        return data
