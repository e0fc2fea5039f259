"""Image files of a source: their identity, and the pixels of one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from search.data.decode import DECODE_ERRORS, decode, describe_decode_error
from search.data.source_api import Decoded, UnreadableImage
from search.errors import DataError


class FileOnDisk(NamedTuple):
    """A file: its path below the source's folder or an absolute one, size and time of change."""

    path: str
    size: int
    modified_ns: int


class ImageFiles:
    """Image files by their positions."""

    def __init__(self, root: Path, files: Sequence[FileOnDisk]) -> None:
        self._root = str(root)
        self._files = files

    def identity(self) -> str:
        """Return a hash of the folder, and of paths, sizes and modification times of its files."""
        listing = [(tuple(it.path.split("/")), it.size, it.modified_ns) for it in self._files]
        place = str(Path(self._root).resolve())
        return hashlib.sha256(repr((place, listing)).encode()).hexdigest()

    def n_bytes(self, index: int) -> int:
        """Return the size of a file."""
        return self._files[index].size

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Decode a file; raise `DataError` if it is too large to be decoded safely."""
        path = self._files[index].path
        try:
            return decode(path if path.startswith("/") else f"{self._root}/{path}")
        except DataError:
            raise
        except DECODE_ERRORS as error:
            return UnreadableImage(describe_decode_error(error))
