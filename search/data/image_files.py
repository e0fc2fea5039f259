"""Image files of a source: their identity, and the pixels of one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from search.data.read_image import Frame, read_image
from search.data.source_api import Decoded, UnreadableImage
from search.data.volumes.volume import voxel_files


class FileOnDisk(NamedTuple):
    """A file: its path below the source's folder or an absolute one, size and time of change.

    `frame` is the one of its images that is used; `n_frames` says how many of them are.
    """

    path: str
    size: int
    modified_ns: int
    frame: Frame = None
    n_frames: int = 1


class ImageFiles:
    """Image files by their positions."""

    def __init__(self, root: Path, files: Sequence[FileOnDisk]) -> None:
        self._root = str(root)
        self._files = files

    def identity(self) -> str:
        """Return a hash of the folder, and of paths, sizes and modification times of its files.

        Those of the voxels of a MetaImage, which may be in a file beside it, count too.
        """
        listing = [(tuple(it.path.split("/")), it.size, it.modified_ns) for it in self._files]
        place = str(Path(self._root).resolve())
        others = voxel_files(sorted({self._place(it.path) for it in self._files}))
        facts = (place, listing, others) if others else (place, listing)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def n_bytes(self, index: int) -> int:
        """Return the size of an image's part of its file."""
        return self._files[index].size // self._files[index].n_frames

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Decode a file; raise `DataError` if it is too large to be decoded safely."""
        file = self._files[index]
        return read_image(self._place(file.path), file.frame)

    def _place(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._root}/{path}"
