"""Resized images in a file without a name, between reading them and knowing which are used.

The file is in the cache folder and ends with the processes that have it open. Images are written
and read by position, so they take no memory: any number of processes may write.
"""

import math
import os
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from search.data.cache import cache_error_message, make_cache_folder
from search.data.source_api import Images
from search.errors import DataError


class ScratchPixels:
    """Images of `size` × `size`, each in a slot with room for some versions of it.

    A version has four planes: grey, and the three of color. What is not written takes no space.
    """

    def __init__(self, folder: Path, size: int, n_versions: int) -> None:
        """Make the file; raise `DataError` if the folder cannot be written to."""
        self._folder = folder
        self._shape = (size, size)
        self._slot_bytes = 4 * size * size * n_versions
        try:
            make_cache_folder(folder)
            self._file = TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError as error:
            raise DataError(cache_error_message("write to", folder, error)) from error

    def put(self, slot: int, version: int, pixels: NDArray[np.uint8]) -> int:
        """Write an image into a slot and return its number of channels."""
        n_channels = 1 if pixels.ndim == 2 else 3
        content = np.ascontiguousarray(pixels).data.cast("B")
        position = self._position(slot, version, n_channels)
        try:
            while content:
                n_written = os.pwrite(self._file.fileno(), content, position)
                content, position = content[n_written:], position + n_written
        except OSError as error:
            raise DataError(cache_error_message("write to", self._folder, error)) from error
        return n_channels

    def get(self, slot: int, version: int, n_channels: int) -> NDArray[np.uint8]:
        """Read an image `(size, size, n_channels)`, which was put with as many channels."""
        n_bytes = n_channels * math.prod(self._shape)
        content = os.pread(self._file.fileno(), n_bytes, self._position(slot, version, n_channels))
        return np.frombuffer(content, np.uint8).reshape(*self._shape, n_channels)

    def _position(self, slot: int, version: int, n_channels: int) -> int:
        n_pixels = math.prod(self._shape)
        return (
            slot * self._slot_bytes + 4 * n_pixels * version + (0 if n_channels == 1 else n_pixels)
        )

    def make_array(self, shape: tuple[int, int, int, int]) -> Images:
        """Make an array that is in a further file without a name, not in memory."""
        try:
            with TemporaryFile(dir=self._folder) as file:
                if hasattr(os, "posix_fallocate"):  # A full disk would end the process later.
                    os.posix_fallocate(file.fileno(), 0, math.prod(shape))
                return np.memmap(file, np.uint8, mode="w+", shape=shape)
        except OSError as error:
            raise DataError(cache_error_message("write to", self._folder, error)) from error
