"""Decoding one image file: the only place where untrusted files reach Pillow.

Sizes are checked before anything is decoded, and a truncated file is an error. The result is
grey `(height, width)` or color `(height, width, 3)`, upright.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from search.data.deep_color import DeepColor, deep_color_of, join_bytes, read_low_bytes
from search.data.image_limits import (
    MAX_DEEP_PIXELS,
    check_file,
    check_image,
    too_large,
)
from search.data.jpeg import has_end, open_without_end
from search.data.pixel_values import row_strips
from search.data.source_api import OUT_OF_MEMORY, Decoded
from search.data.tiff_values import as_signed, stored_values
from spaces.wording import plural

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    NotImplementedError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged files."""
BOMB_ERRORS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ORIENTATION_KEYS = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
"""Where an orientation can be; looking for one takes a fifth of the time of a small image."""
MAX_PAGES = 1_000
"""Of a TIFF that are used: the way to a page leads through all that are before it."""
_PREFIX_BYTES = 16
"""By which Pillow tells formats apart."""
_OWN_WORDS = re.compile(r"its |it has |the (size of its|file) |not a |\d+ channels ")
"""Reasons of our own begin so."""
_UNUSUAL_ERRORS = (OSError, SyntaxError, ValueError, NotImplementedError)
_UNUSUAL_WORDS = re.compile("unsupported|not supported|not available|unknown", re.IGNORECASE)
"""Pillow says so of a file that it cannot read and that may be whole."""
_LACKS_END = "convsearch lacks end"
_HIGH_BIT_DEPTH_MODES = ("I", "F")  # and "I;16" with its byte orders


def decode(path: str, page: int | None = None) -> Decoded:
    """Read the first image of a file, or a page counted from 0, upright by its EXIF orientation.

    Palettes and CMYK become RGB, transparent parts black. Pixels of more than 8 bits and floats
    keep their values; where a file says that its smallest value is white, they are inverted.

    Raises:
        DataError: If the image is too large to be decoded safely.
        OSError: Or another of `DECODE_ERRORS`, if the file is damaged or of another format.
    """
    kinds: list[DeepColor | None] = []

    def examine(opened: Image.Image) -> None:
        kinds.append(deep_color_of(opened))
        if kinds[0] and opened.width * opened.height > MAX_DEEP_PIXELS:
            size = f"{opened.width:,} × {opened.height:,} of 16-bit color"
            raise too_large(size, path, MAX_DEEP_PIXELS)

    with _open(path, page, examine) as image:
        if kinds[0]:
            with _open(path, page, read_low_bytes) as low:
                pixels: NDArray[Any] = join_bytes(kinds[0], image, low)
        else:
            pixels = _as_array(image)
        return Decoded(
            pixels,
            lacks_end=_LACKS_END in image.info,
            has_pages=page is None and getattr(image, "is_animated", False),
            is_transparent=_is_transparent(image),
        )


@contextmanager
def _open(
    path: str, page: int | None, before_load: Callable[[Image.Image], None]
) -> Iterator[Image.Image]:
    """Open an image of a file, loaded and upright."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            n_bytes = check_file(file, path)
            with _open_header(file, path) as opened:
                if page:
                    _seek(opened, page, path)
                check_image(opened, n_bytes, path)
                before_load(opened)
                image = _load(opened, file)
                if image.format == "TIFF" or not _ORIENTATION_KEYS.isdisjoint(image.info):
                    ImageOps.exif_transpose(image, in_place=True)
                yield image
    except BOMB_ERRORS as error:
        raise too_large(_size_in_message(error), path) from error


def _open_header(file: BinaryIO, path: str) -> Image.Image:
    """Open an image without decoding it."""
    try:
        return Image.open(file, formats=FORMATS)
    except BOMB_ERRORS as error:
        if size := _size_in_header(file):
            raise too_large(size, path) from error
        raise


def _size_in_header(file: BinaryIO) -> str:
    """Return the sides of an image that Pillow refuses: its own limit is above ours.

    Those of a WebP are not looked for: Pillow takes memory for all of its pixels to open it.
    """
    file.seek(0)
    prefix = file.read(_PREFIX_BYTES)
    for name in set(FORMATS) - {"WEBP"}:
        opener, accepts = Image.OPEN[name]
        if accepts and accepts(prefix):
            file.seek(0)
            width, height = opener(file, "").size
            return f"{width:,} × {height:,}"
    return ""


def _size_in_message(error: Exception) -> str:
    found = re.search(r"\((\d+) pixels\)", str(error))
    return f"{int(found[1]):,} pixels" if found else "more"


def _seek(image: Image.Image, page: int, path: str) -> None:
    try:
        image.seek(page)
    except EOFError as error:  # Pillow now believes in as many pages as were asked for.
        n_pages = count_tiff_pages(path) if image.format == "TIFF" else 1
        raise ValueError(f"it has {plural(n_pages, 'page')}") from error


def count_tiff_pages(path: str) -> int:
    """Return the number of pages of a TIFF file, at most `MAX_PAGES`.

    A page whose header is damaged counts, and is the last: the way to others leads through it.

    Raises:
        OSError: Or another of `DECODE_ERRORS`, if the first is damaged or the format is another.
    """
    with open(path, "rb") as file, Image.open(file, formats=["TIFF"]) as opened:  # noqa: PTH123
        for number in range(1, MAX_PAGES):
            try:
                opened.seek(number)
            except EOFError:
                return number
            except DECODE_ERRORS:
                return number + 1
        return MAX_PAGES


def _load(image: Image.Image, file: BinaryIO) -> Image.Image:
    """Return an image with its pixels, also if it is a JPEG that lacks only its end marker."""
    if image.format != "JPEG" or has_end(file):
        image.load()
        return image
    ended = open_without_end(file)
    if ended is None:
        raise OSError("image file is truncated")
    ended.info[_LACKS_END] = True
    return ended


@contextmanager
def decoder_warnings() -> Iterator[None]:
    """Turn Pillow's warning of a decompression bomb into an error; ignore other warnings."""
    with warnings.catch_warnings():
        for package in ("PIL", "pydicom"):
            warnings.filterwarnings("ignore", module=package)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def describe_decode_error(error: BaseException) -> str:
    """Describe one of `DECODE_ERRORS` in words of our own: decoders write for programmers."""
    text = str(error)
    if isinstance(error, UnidentifiedImageError):
        return "not a PNG, JPEG, BMP, TIFF or WebP image that can be read"
    if strerror := getattr(error, "strerror", None):  # Without the path.
        return str(strerror)
    if isinstance(error, ValueError | zlib.error) and _OWN_WORDS.match(text):
        return text
    return _describe_damage(error, text)


def _describe_damage(error: BaseException, text: str) -> str:
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    if isinstance(error, EOFError | struct.error) or "truncated" in text.lower():
        return "the file is truncated"
    if isinstance(error, _UNUSUAL_ERRORS) and _UNUSUAL_WORDS.search(text):
        return "it is stored in a way that is not supported"
    return "the file is damaged"


def _as_array(image: Image.Image) -> NDArray[Any]:
    if image.mode in _HIGH_BIT_DEPTH_MODES or image.mode.startswith("I;16"):
        return stored_values(image)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode not in ("L", "RGB"):
        return _on_black(image)
    pixels = np.frombuffer(image.tobytes(), np.uint8)  # a tenth faster than `asarray`
    pixels = pixels.reshape(image.height, image.width, *(() if image.mode == "L" else (3,)))
    return as_signed(pixels, image) if image.format == "TIFF" else pixels


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.mode or "transparency" in image.info


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel is transparent; for grey and RGB, declared transparency is ignored."""
    if image.mode in ("1", "L", "RGB", *_HIGH_BIT_DEPTH_MODES) or not _has_alpha(image):
        return False
    least: Any = image.convert("RGBA").getchannel("A").getextrema()[0]
    return bool(least < 255)


def _on_black(image: Image.Image) -> NDArray[np.uint8]:
    """Lay an image of any other mode on black, as RGB."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in row_strips(pixels):
        strip = image.crop((0, rows.start, image.width, min(rows.stop, image.height)))
        if _has_alpha(image):
            layer = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer)
        pixels[rows] = np.asarray(strip.convert("RGB"))
    return pixels
