"""Reading a part of a compressed file: gzip or zlib, told apart by the first bytes."""

import zlib
from typing import BinaryIO

CHUNK_BYTES = 2**20
PACKED_BYTES = 2**14
"""What is read at once: the rest of it is copied for each part of a file."""
MAX_PARTS = 2**18
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def read_inflated(file: BinaryIO, start: int, n_bytes: int) -> bytearray:
    """Return `n_bytes` from `start` of the unpacked content, or fewer where the file ends.

    No more than that is ever in memory, whatever the file unpacks to.

    Raises:
        zlib.error: If the file is damaged.
    """
    found = bytearray()
    n_left, position = start + n_bytes, 0
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    packed, n_parts = file.read(PACKED_BYTES), 1
    while packed and n_left > 0:
        part = unpacker.decompress(packed, min(n_left, CHUNK_BYTES))
        found += part[max(0, start - position) :]
        position += len(part)
        n_left -= len(part)
        packed = unpacker.unconsumed_tail
        if unpacker.eof:  # Files of several parts are valid gzip.
            packed, unpacker = unpacker.unused_data, zlib.decompressobj(_GZIP_OR_ZLIB)
            n_parts += 1
            if n_parts > MAX_PARTS:
                raise zlib.error("it has too many parts")
        packed = packed or file.read(PACKED_BYTES)
    return found
