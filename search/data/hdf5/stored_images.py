"""Images of an HDF5 dataset, read and unpacked from their place in the file one by one.

No file stays open, so that processes and threads can read at once. What is unpacked is bounded by
the size that the header declares.
"""

import math
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.data.labeled_arrays import ALWAYS_ALLOWED_BYTES, MAX_RATIO
from search.data.source_api import OUT_OF_MEMORY
from search.errors import DataError
from spaces.wording import plural

MAX_BAND_BYTES = 2**27
"""Of all images that share chunks, which are unpacked together."""
MAX_CHUNKS_OF_IMAGE = 4096
DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
CHECKSUM_BYTES = 4
READ_ERRORS = (OSError, ValueError, RuntimeError, MemoryError, zlib.error)
"""What reading an image raises if the file is damaged; h5py's are of LZF."""


def describe_read_error(error: BaseException) -> str:
    """Describe one of `READ_ERRORS`."""
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    return getattr(error, "strerror", None) or str(error)


class Chunks(NamedTuple):
    """The chunks of a dataset: their shape, filters (code and name), and their places.

    The table has a row for each chunk, in the order of their positions: address, size in the file,
    and a mask of the filters that were left out; an address of -1 is that of no chunk.
    """

    shape: tuple[int, ...]
    filters: Sequence[tuple[int, str]]
    table: NDArray[np.int64]


class Band(threading.local):
    """The images that were unpacked last, for each process and thread by itself.

    Images that are read one after another share their chunks, which are unpacked once.
    """

    owner: "StoredImages | None" = None
    number: int = -1
    images: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StoredImages:
    """A dataset whose first axis counts images; `address` is that of values without chunks."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    address: int | None
    chunks: Chunks | None

    @property
    def image_bytes(self) -> int:
        """Size of an image in bytes."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def n_bytes(self) -> int:
        """Size of all images in bytes."""
        return self.shape[0] * self.image_bytes

    def check(self, file_bytes: int) -> None:
        """Raise `DataError` if the file cannot hold the images, or they are costly to read."""
        if self.chunks is None:
            is_whole = self.address is not None and self.address + self.n_bytes <= file_bytes
            if not is_whole:
                raise DataError(
                    f"{self.name!r} in {self.path} was not wholly written: it has"
                    f" {self.n_bytes:,} bytes, and the file {file_bytes:,}. Save it again."
                )
            return
        if self.n_bytes > max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * file_bytes):
            raise DataError(
                f"{self.name!r} in {self.path} unpacks to {self.n_bytes / 2**20:,.0f} MiB from"
                f" {file_bytes / 2**20:,.1f} MiB: expected at most {MAX_RATIO} times its size."
                " Keep fewer or smaller images in it."
            )
        self._check_filters(self.chunks)
        self._check_chunks(self.chunks)

    def _check_filters(self, chunks: Chunks) -> None:
        for code, text in chunks.filters:
            if code not in _FILTERS:
                raise DataError(
                    f"{self.name!r} in {self.path} is packed by the filter {text or code!r}."
                    " Expected gzip, LZF, shuffle or fletcher32. Pack it again:"
                    f" h5repack -f {self.name}:GZIP=4 OLD NEW"
                )

    def _check_chunks(self, chunks: Chunks) -> None:
        sides = zip(self.shape[1:], chunks.shape[1:], strict=True)
        n_chunks = math.prod(-(-n // side) for n, side in sides)
        n_images = min(chunks.shape[0], self.shape[0])
        n_bytes = max(n_images * self.image_bytes, math.prod(chunks.shape) * self.dtype.itemsize)
        if n_bytes > MAX_BAND_BYTES or n_chunks > MAX_CHUNKS_OF_IMAGE:
            shape = "x".join(map(str, (1, *self.shape[1:])))
            raise DataError(
                f"An image of {self.name!r} in {self.path} is in {plural(n_chunks, 'chunk')} that"
                f" unpack to {n_bytes / 2**20:,.0f} MiB. Expected at most"
                f" {MAX_CHUNKS_OF_IMAGE:,} of {MAX_BAND_BYTES // 2**20} MiB together. Give each"
                f" image a chunk: h5repack -l {self.name}:CHUNK={shape} OLD NEW"
            )

    def read(self, index: int, kept: Band) -> NDArray[Any]:
        """Return an image as it is stored, in the byte order of this machine.

        Raises:
            OSError, ValueError: Or another one of `READ_ERRORS`, if the file is damaged.
        """
        if self.chunks is None:
            assert self.address is not None, "check() was not called"
            begin = self.address + index * self.image_bytes
            values = np.frombuffer(_read_bytes(self.path, begin, self.image_bytes), self.dtype)
            return _native(values.reshape(self.shape[1:]))
        number, place = divmod(index, self.chunks.shape[0])
        if kept.images is None or kept.owner is not self or kept.number != number:
            kept.images = None  # Its memory is free before the next ones are unpacked.
            kept.images = self._read_band(number)
            kept.owner, kept.number = self, number
        image: NDArray[Any] = kept.images[place]
        return image

    def _read_band(self, number: int) -> NDArray[Any]:
        assert self.chunks is not None
        sides, table = self.chunks.shape, self.chunks.table
        inner = [-(-n // side) for n, side in zip(self.shape[1:], sides[1:], strict=True)]
        n_images = min(sides[0], self.shape[0] - number * sides[0])
        band = np.empty((n_images, *self.shape[1:]), self.dtype)
        places = product(*map(range, inner))
        for row, place in enumerate(places, start=number * math.prod(inner)):
            begins = [0, *(at * side for at, side in zip(place, sides[1:], strict=True))]
            part = band[tuple(slice(a, a + n) for a, n in zip(begins, sides, strict=True))]
            part[...] = self._read_chunk(*table[row].tolist())[tuple(map(slice, part.shape))]
        return _native(band)

    def _read_chunk(self, address: int, size: int, mask: int) -> NDArray[Any]:
        assert self.chunks is not None
        if address < 0:
            raise ValueError("it was never written")
        n_bytes = math.prod(self.chunks.shape) * self.dtype.itemsize
        if size > 2 * n_bytes + 1024:
            raise ValueError("its chunk takes more room in the file than its pixels")
        content = _read_bytes(self.path, address, size)
        for bit, (code, _) in reversed(list(enumerate(self.chunks.filters))):
            if not mask >> bit & 1:
                content = _FILTERS[code](content, n_bytes, self.dtype.itemsize)
        if len(content) != n_bytes:
            raise ValueError("its chunk is not as long as it should be")
        return np.frombuffer(content, self.dtype).reshape(self.chunks.shape)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in the byte order of this machine."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _read_bytes(path: Path, begin: int, n_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(begin)
        content = file.read(n_bytes)
    if len(content) != n_bytes:
        raise ValueError("the file ends before it")
    return content


def _inflate(content: bytes, n_bytes: int, itemsize: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(content, n_bytes + 2 * CHECKSUM_BYTES)
    except zlib.error as error:
        raise ValueError("its gzip data is damaged") from error
    if not unpacker.eof:
        raise ValueError("its gzip data unpacks to more than its chunk, or has no end")
    return found


def _unshuffle(content: bytes, n_bytes: int, itemsize: int) -> bytes:
    """Join the first bytes of all values, their second bytes, ... to values again."""
    n_values = len(content) // itemsize
    planes = np.frombuffer(content, np.uint8, n_values * itemsize).reshape(itemsize, n_values)
    return planes.T.tobytes() + content[n_values * itemsize :]


def _drop_checksum(content: bytes, n_bytes: int, itemsize: int) -> bytes:
    return content[:-CHECKSUM_BYTES]


def _unpack_lzf(content: bytes, n_bytes: int, itemsize: int) -> bytes:
    """Unpack LZF by h5py, in a file of ours in memory: its output is at most 88 times as long."""
    import h5py

    with h5py.File("chunk", "w", driver="core", backing_store=False) as file:
        chunk = file.create_dataset(
            "chunk", (n_bytes,), "u1", chunks=(n_bytes,), compression="lzf"
        )
        chunk.id.write_direct_chunk((0,), content)
        try:
            values: NDArray[np.uint8] = chunk[()]
        except (OSError, RuntimeError) as error:
            raise ValueError("its LZF data is damaged") from error
    return values.tobytes()


_FILTERS: Mapping[int, Callable[[bytes, int, int], bytes]] = {
    DEFLATE: _inflate,
    SHUFFLE: _unshuffle,
    FLETCHER32: _drop_checksum,
    LZF: _unpack_lzf,
}
"""By their codes: each undoes a filter on the bytes of a chunk."""
