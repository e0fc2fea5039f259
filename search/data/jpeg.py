"""JPEG files that lack their end marker, and nothing else.

Pillow refuses them, unless a global setting makes it accept files that miss any part. libjpeg
computes missing pixels from the bytes that follow: a file is complete if other bytes there do not
change a pixel.
"""

import re
from io import SEEK_END, BytesIO
from typing import BinaryIO

from PIL import Image

_END, _START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _SCAN = 0xC2, 0xDA
_UNIT_BYTES = 4096
"""Enough for one unit of ten blocks: libjpeg leaves out a unit whose bytes end within it."""
_ALL = frozenset(range(64))
"""The coefficients of a block."""


def has_end(file: BinaryIO) -> bool:
    """Whether a JPEG has its end marker; other bytes may follow it."""
    position = file.tell()
    file.seek(-len(_END), SEEK_END)
    has_it = file.read() == _END
    if not has_it:
        content = _read(file)
        has_it = content.find(_END, content.rfind(_START_OF_SCAN)) >= 0
    file.seek(position)
    return has_it


def open_without_end(file: BinaryIO) -> Image.Image | None:
    """Return the decoded image of a JPEG without its end marker; None if more is missing.

    Raises:
        OSError: Or another error of Pillow, if the file is damaged.
    """
    content = _read(file).rstrip(_END[:1])  # A part of the marker, and what may fill up before it.
    if not _has_all_scans(content):
        return None
    image = _decode(content + _END)
    pixels = image.tobytes()
    others = (_decode(content + fill + _END).tobytes() for fill in _fillers(content))
    return image if all(other == pixels for other in others) else None


def _read(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _decode(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content), formats=["JPEG"])
    image.load()
    return image


def _fillers(content: bytes) -> list[bytes]:
    """Return bytes to put in place of missing ones: of opposite bits, and after a restart."""
    restarts = _RESTART.findall(content)
    following = (restarts[-1][0] - 0xD0 + 1) % 8 if restarts else 0
    restart = bytes([0xFF, 0xD0 + following])
    return [b"\x55" * _UNIT_BYTES, b"\xaa" * _UNIT_BYTES, restart + b"\x55" * _UNIT_BYTES]


def _has_all_scans(content: bytes) -> bool:
    """Whether there is a scan of every coefficient in every color, to its last bit."""
    missing: dict[int, set[int]] = {}
    is_progressive = False
    position = 2
    while found := _MARKER.search(content, position):
        kind, start = found[1][0], found.end() + 2
        position = found.end() + int.from_bytes(content[found.end() : start])
        segment = content[start:position]
        if not segment:
            return False
        if kind in _FRAMES:
            is_progressive = kind == _PROGRESSIVE
            missing = {color: set(_ALL) for color in segment[6 : 6 + 3 * segment[5] : 3]}
        elif kind == _SCAN:
            n_colors = segment[0]
            if len(segment) < 4 + 2 * n_colors:
                return False
            first, last, bits = segment[1 + 2 * n_colors : 4 + 2 * n_colors]
            for color in segment[1 : 1 + 2 * n_colors : 2]:
                if not is_progressive:
                    missing[color].clear()
                elif bits % 16 == 0:
                    missing[color] -= set(range(first, last + 1))
    return bool(missing) and not any(missing.values())
