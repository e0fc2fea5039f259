"""Images from a folder: files that are decoded once, in parallel, into shared memory."""

import hashlib
import math
import mmap
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.data.decode import (
    DECODE_ERRORS,
    decode,
    describe_decode_error,
    strict_pillow_warnings,
)
from search.data.listing import list_images
from search.data.parallel import map_chunks
from search.data.pixel_values import to_uint8
from search.data.pixels import inspect_pixels, resize, to_grey
from search.data.settings import DataSettings
from search.data.source_api import ImageInfo, Images, Item, UnreadableImage
from search.errors import DataError

CHUNK_BYTES = 2**18
"""Bytes of files between two reports of progress, about 10 ms."""
CHUNK_FILES = 64


class FolderSource:
    """Image files below a folder, which are listed first and decoded later."""

    kind = "folder"
    pixel_range = None

    def __init__(self, root: Path, settings: DataSettings) -> None:
        listing = list_images(root)
        self.warnings = listing.notes
        self.classes = tuple(sorted({image.class_name for image in listing.images}))
        labels = {name: label for label, name in enumerate(self.classes)}
        self.items: Sequence[Item] = [
            Item(image.file.name, labels[image.class_name], image.split)
            for image in listing.images
        ]
        self._files = [image.file for image in listing.images]
        self._root = str(root)
        self._size = settings.image_size
        self._color = settings.color
        self._buffers: list[_SharedPixels] = []
        self._locations: dict[int, tuple[int, int, int]] = {}

    def identity(self) -> str:
        """Return a hash of the paths, sizes and modification times of the files."""
        listing = [(file.parts, file.size, file.modified_ns) for file in self._files]
        return hashlib.sha256(repr(listing).encode()).hexdigest()

    def inspect(
        self, indices: Sequence[int], tick: Callable[[], None], *, keep_pixels: bool = True
    ) -> list[ImageInfo | UnreadableImage]:
        """Decode the files at `indices` and keep their resized pixels for `images`."""
        buffer = _SharedPixels(len(indices), self._size) if keep_pixels else None
        if buffer:
            self._buffers.append(buffer)

        def read(positions: Sequence[int]) -> list[tuple[ImageInfo | UnreadableImage, int]]:
            return [self._read(indices[position], position, buffer) for position in positions]

        infos: list[ImageInfo | UnreadableImage] = []
        with strict_pillow_warnings():
            for result in map_chunks(read, self._chunks(indices)):
                for info, n_channels in result:
                    if n_channels:
                        place = (len(self._buffers) - 1, len(infos), n_channels)
                        self._locations[indices[len(infos)]] = place
                    infos.append(info)
                    tick()
        return infos

    def images(self, indices: Sequence[int], channels: int) -> Images:
        """Return resized images of inspected files; grey is repeated over three channels."""
        places = np.array([self._locations[i] for i in indices])
        images = np.empty((len(indices), self._size, self._size, channels), np.uint8)
        places[:, 2] = np.minimum(places[:, 2], channels)
        for buffer_index, n_channels in np.unique(places[:, [0, 2]], axis=0):
            here = (places[:, 0] == buffer_index) & (places[:, 2] == n_channels)
            images[here] = self._buffers[buffer_index].get(places[here, 1], n_channels)
        return images

    def _chunks(self, indices: Sequence[int]) -> list[range]:
        """Split the positions of `indices` into runs of about `CHUNK_BYTES` of files."""
        starts, n_bytes = [0], 0
        for position, index in enumerate(indices):
            if n_bytes > CHUNK_BYTES or position - starts[-1] >= CHUNK_FILES:
                starts.append(position)
                n_bytes = 0
            n_bytes += self._files[index].size
        return [range(*ends) for ends in pairwise([*starts, len(indices)])]

    def _read(
        self, index: int, position: int, buffer: "_SharedPixels | None"
    ) -> tuple[ImageInfo | UnreadableImage, int]:
        """Decode a file; return its info, and the number of channels in its slot."""
        try:
            pixels, lacks_end = decode(f"{self._root}/{self._files[index].name}")
            info = inspect_pixels(pixels)._replace(lacks_end=lacks_end)
            levels = to_uint8(pixels)
        except DataError:
            raise
        except DECODE_ERRORS as error:
            return UnreadableImage(describe_decode_error(error)), 0
        return info, self._keep(levels, info, position, buffer) if buffer else 0

    def _keep(
        self, pixels: NDArray[np.uint8], info: ImageInfo, position: int, buffer: "_SharedPixels"
    ) -> int:
        """Keep resized pixels, as color too if they may be needed; return their channels."""
        if self._color != "rgb":
            buffer.put(position, resize(to_grey(pixels), self._size))
            if self._color == "grey" or not info.has_color:
                return 1
        return buffer.put(position, resize(pixels, self._size))


class _SharedPixels:
    """Memory for `n` images, shared by forked processes; unused pages cost nothing.

    An image has a slot of four planes: grey, and the three of color.
    """

    def __init__(self, n: int, size: int) -> None:
        self._shape = (size, size)
        n_bytes = n * size * size * 4
        room: NDArray[np.uint8] = np.frombuffer(mmap.mmap(-1, max(1, n_bytes)), np.uint8)
        self._rows = room[:n_bytes].reshape(n, -1)

    def put(self, position: int, pixels: NDArray[np.uint8]) -> int:
        """Copy an image into its slot and return its number of channels."""
        self._rows[position, self._planes(pixels.ndim)] = pixels.ravel()
        return 1 if pixels.ndim == 2 else 3

    def _planes(self, n_dimensions: int) -> slice:
        """Return the place of an image with 2 or 3 dimensions in its slot."""
        n_pixels = math.prod(self._shape)
        return slice(n_pixels) if n_dimensions == 2 else slice(n_pixels, 4 * n_pixels)

    def get(self, positions: NDArray[np.int64], n_channels: int) -> Images:
        """Return the images in some slots, all with `n_channels` channels."""
        pixels: NDArray[np.uint8] = self._rows[
            positions, self._planes(2 if n_channels == 1 else 3)
        ]
        return pixels.reshape(-1, *self._shape, n_channels)
