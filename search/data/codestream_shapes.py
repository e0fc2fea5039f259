"""The shapes that compressed images declare, read before they are decoded.

A damaged one could ask for any amount of memory.
"""

import struct
from typing import NamedTuple

_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Second bytes of JPEG markers that begin a frame; 0xF7 is that of JPEG-LS."""
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
START_OF_JPEG_2000 = b"\xff\x4f\xff\x51"
"""The markers that begin a codestream, the second of which is that of its size."""
_PRECISION = 0x7F
"""Bits of a byte with the number of bits of a sample, less one; the other one is its sign."""
LOSSLESS = 0xC3
"""The marker of a frame of lossless JPEG, which few programs read."""


class Shape(NamedTuple):
    """Height and width in pixels, samples of a pixel, bits of a sample, whether it is signed."""

    height: int
    width: int
    n_samples: int
    n_bits: int
    is_signed: bool = False


def shape_of_jpeg(source: bytes) -> Shape:
    """Return the shape of a JPEG, or JPEG-LS.

    Raises:
        ValueError: If it has none. `struct.error` if it is truncated.
    """
    place = _find_frame(source)
    n_bits, height, width, n_samples = struct.unpack_from(">BHHB", source, place + 4)
    return Shape(height, width, n_samples, n_bits)


def is_lossless_jpeg(source: bytes) -> bool:
    """Whether a file is lossless JPEG."""
    try:
        return source[:2] == b"\xff\xd8" and source[_find_frame(source) + 1] == LOSSLESS
    except (ValueError, struct.error):
        return False


def shape_of_jpeg_2000(source: bytes) -> Shape:
    """Return the shape of a JPEG 2000, a codestream or a file.

    Raises:
        ValueError: If it has none. `struct.error` if it is truncated.
    """
    place = source.find(START_OF_JPEG_2000)
    if place < 0:
        raise ValueError("its JPEG 2000 has no size")
    width, height, left, top = struct.unpack_from(">4I", source, place + 8)
    if width <= left or height <= top:  # Or its size would be below every limit.
        raise ValueError("the size of its JPEG 2000 is damaged")
    n_samples, precision = struct.unpack_from(">HB", source, place + 40)
    n_bits, is_signed = (precision & _PRECISION) + 1, precision > _PRECISION
    return Shape(height - top, width - left, n_samples, n_bits, is_signed)


def _find_frame(source: bytes) -> int:
    """Return the place of the marker that begins the frame of a JPEG."""
    place = 2
    while place + 4 <= len(source):
        if source[place] != 0xFF:
            raise ValueError("its JPEG markers are damaged")
        marker = source[place + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            place += 1 if marker == 0xFF else 2
        elif marker in _FRAME_MARKERS:
            return place
        else:
            place += 2 + int(struct.unpack_from(">H", source, place + 2)[0])
    raise ValueError("its JPEG has no frame")
