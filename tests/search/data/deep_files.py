"""Files with color of 16 bits a channel, which Pillow does not write."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PNG_KINDS = {2: 4, 3: 2, 4: 6}
"""PNG's number for grey with alpha, RGB and RGBA, by the number of channels."""


def save_deep_png(path: Path, pixels: NDArray[np.uint16]) -> Path:
    """Write pixels `(height, width, channels)` as a PNG."""
    height, width, n_channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_KINDS[n_channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def save_deep_tiff(path: Path, pixels: NDArray[np.uint16], order: str, rotation: int = 1) -> Path:
    """Write RGB pixels as a TIFF without compression, in a byte order of `struct`."""
    height, width, _ = pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    tags = {
        256: width, 257: height, 259: 1, 262: 2, 274: rotation, 277: 3, 278: height,
        279: len(data),
    }  # fmt: skip
    n_tags = len(tags) + 2
    end = 8 + 2 + 12 * n_tags + 4
    entries = {tag: (4, 1, value) for tag, value in tags.items()}
    entries |= {258: (3, 3, end), 273: (4, 1, end + 6)}
    directory = b"".join(
        struct.pack(f"{order}HHII", tag, *entries[tag]) for tag in sorted(entries)
    )
    path.write_bytes(
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}IH", 8, n_tags)
        + directory
        + struct.pack(f"{order}IHHH", 0, 16, 16, 16)
        + data
    )
    return path


def save_grey_tiff(path: Path, values: NDArray[Any], *, white_is_zero: bool = False) -> Path:
    """Write grey values `(height, width)` of any type as a TIFF without compression."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    n_bits, sample_format = 8 * values.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {
        256: width, 257: height, 258: n_bits, 259: 1, 262: 0 if white_is_zero else 1,
        273: 8 + 2 + 12 * 11 + 4, 277: 1, 278: height, 279: len(data), 284: 1, 339: sample_format,
    }  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(header + directory + struct.pack("<I", 0) + data)
    return path
