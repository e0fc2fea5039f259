"""Limits of an image file that bound the memory and time of decoding, checked before it begins.

A few kilobytes can unpack to gigabytes of one color. All limits are far above real images.
"""

import mmap
import os
import re
from typing import BinaryIO

from PIL import Image

from search.errors import DataError

MAX_PIXELS = 64 * 2**20
"""At most 4 bytes each: 256 MiB of decoded pixels."""
MAX_DEEP_PIXELS = MAX_PIXELS // 4
"""Of color with 16 bits a channel where all bits are kept: 14 bytes each while they are joined."""
MAX_SIDE = 32 * 2**10
"""Resizing holds 16 bytes of filter weights for each pixel of a side."""
MAX_FILE_BYTES = 512 * 2**20
MAX_TILE_PIXELS = 4 * 2**20
"""Of a TIFF's tile beyond the image: a whole tile is decoded for an image of one pixel."""
MAX_SCANS = 100
"""Of a JPEG, which has 4 at most, or about 10 if it is progressive: a scan of 10 bytes is a pass
over all pixels."""
_JPEG_FORMATS = ("JPEG", "MPO")
"""Pillow calls a JPEG with several pictures MPO."""
MAX_RLE_BYTES = 32 * 2**20
"""Of a run-length encoded BMP, which Pillow decodes in Python: 5 MB a second."""
_TILE_SIDES = (322, 323)
_RLE = (1, 2)


class OversizeError(DataError):
    """An image would take too much memory or time to decode."""

    def __init__(self, message: str, place: str) -> None:
        """Take a message that ends with ` in PLACE. ADVICE`."""
        super().__init__(message)
        self.place = place

    @property
    def reason(self) -> str:
        """The message without its place, and its last sentence, which advises."""
        return str(self).rpartition(f" in {self.place}. ")[0]


def check_file(file: BinaryIO, path: str) -> int:
    """Return the size of a file that is not parsed yet: WebP files are read as a whole for that.

    Raises:
        OversizeError: If it is over the limit.
    """
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes > MAX_FILE_BYTES:
        raise OversizeError(
            f"Expected image files of at most {MAX_FILE_BYTES / 2**20:,.0f} MiB."
            f" Received: {n_bytes / 2**20:,.0f} MiB in {path}. Remove or shrink it.",
            path,
        )
    return n_bytes


def check_image(image: Image.Image, n_bytes: int, path: str) -> None:
    """Check an image that is open and not decoded, of a file of `n_bytes`.

    Raises:
        OversizeError: If its size is over a limit.
    """
    check_size(image.width, image.height, path)
    if image.format == "TIFF":
        _check_tiles(image, path)
    elif image.format in _JPEG_FORMATS:
        _check_scans(image, path)
    elif image.info.get("compression") in _RLE and n_bytes > MAX_RLE_BYTES:
        raise OversizeError(
            f"Expected run-length encoded BMP files of at most {MAX_RLE_BYTES / 2**20:,.0f} MiB."
            f" Received: {n_bytes / 2**20:,.0f} MiB in {path}. Save it as PNG.",
            path,
        )


def check_size(width: int, height: int, place: str) -> None:
    """Raise `OversizeError` if an image has too many pixels, in all or along a side."""
    if width * height > MAX_PIXELS:
        raise too_large(f"{width:,} × {height:,}", place)
    if max(width, height) > MAX_SIDE:
        raise OversizeError(
            f"Expected images of at most {MAX_SIDE:,} pixels a side. Received: {width:,} ×"
            f" {height:,} in {place}. Remove or shrink it.",
            place,
        )


def too_large(received: str, place: str, most: int = MAX_PIXELS) -> OversizeError:
    """Return the error for an image with too many pixels."""
    return OversizeError(
        f"Expected images of at most {most // 2**20} megapixels (a larger one may be a"
        f" decompression bomb). Received: {received} in {place}. Remove or shrink it.",
        place,
    )


def _check_tiles(image: Image.Image, path: str) -> None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    width, height = (tags.get(tag, 1) for tag in _TILE_SIDES)
    if not (isinstance(width, int) and isinstance(height, int)):
        raise ValueError("the size of its tiles is damaged")  # noqa: TRY004
    if width * height > max(MAX_TILE_PIXELS, image.width * image.height):
        raise OversizeError(
            f"Expected TIFF tiles no larger than the image, or {MAX_TILE_PIXELS // 2**20}"
            f" megapixels. Received: {width:,} × {height:,} in {path}. Save it again.",
            path,
        )


def _check_scans(image: Image.Image, path: str) -> None:
    with mmap.mmap(image.fp.fileno(), 0, access=mmap.ACCESS_READ) as content:  # type: ignore[attr-defined]
        n_scans = sum(1 for _ in re.finditer(rb"\xff\xda", content))
    if n_scans > MAX_SCANS:
        raise OversizeError(
            f"Expected JPEG files of at most {MAX_SCANS} scans. Received: {n_scans:,} in {path}."
            " Save it again.",
            path,
        )
