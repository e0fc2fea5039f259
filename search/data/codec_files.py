"""Image files of codecs that Pillow lacks, by imagecodecs: JPEG 2000, JPEG-LS, lossless JPEG.

Pillow reads JPEG 2000 too, but only 8 bits of color.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from search.data.codestream_shapes import (
    START_OF_JPEG_2000,
    Shape,
    is_lossless_jpeg,
    shape_of_jpeg,
    shape_of_jpeg_2000,
)
from search.data.decode import DECODE_ERRORS
from search.data.deep_color import lay_on_black
from search.data.file_names import extension_of
from search.data.image_limits import MAX_DEEP_PIXELS, check_file, check_size, too_large
from search.data.source_api import Decoded
from search.errors import DataError

JPEG_2000 = frozenset({".jp2", ".j2k", ".j2c", ".jpx", ".jpf"})
JPEG_LS = frozenset({".jls"})
LOSSLESS_JPEG = frozenset({".ljpg", ".ljpeg"})
EXTENSIONS = JPEG_2000 | JPEG_LS | LOSSLESS_JPEG
CODEC_ERRORS = (*DECODE_ERRORS, RuntimeError)
"""What imagecodecs raises on damaged files."""
_WITH_ALPHA = (2, 4)
_HEADER_BYTES = 2**20
"""Of a JPEG, before its frame: color profiles and such."""
_PALETTE, _CHANNELS = b"pclr", b"cdef"
"""Boxes of a JPEG 2000 file; the second one says which channel is alpha."""
_END_OF_JPEG, _END_BYTES = b"\xff\xd9", 64


def decode_codec(path: str) -> Decoded:
    """Read a file of one of these codecs, grey or color; transparent parts become black.

    Raises:
        DataError: If it is too large to be decoded safely, or imagecodecs is not installed.
        Exception: One of `CODEC_ERRORS`, if it is damaged or not supported.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        check_file(file, path)
        source = file.read()
    extension = extension_of(path)
    shape = shape_of_jpeg_2000(source) if extension in JPEG_2000 else shape_of_jpeg(source)
    _check_size(shape, path)
    _check_channels(shape, source, is_jpeg_2000=extension in JPEG_2000)
    pixels = _find_decoder(source, extension, path)(source)
    n_samples = pixels.shape[2] if pixels.ndim == 3 else 1
    if (*pixels.shape[:2], n_samples) != shape[:3]:
        raise ValueError(f"its pixels have the shape {pixels.shape}")
    is_transparent = False
    if n_samples in _WITH_ALPHA:
        most = 2**shape.n_bits - 1
        is_transparent = bool((pixels[..., -1] < most).any())
        pixels = lay_on_black(pixels, most)
    is_grey = n_samples <= 2
    return Decoded(pixels.reshape(shape[:2]) if is_grey else pixels, is_transparent=is_transparent)


def is_lossless(path: str) -> bool:
    """Whether a file with the name of a JPEG can be read and is a lossless one."""
    if extension_of(path) not in {".jpg", ".jpeg"}:
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return is_lossless_jpeg(file.read(_HEADER_BYTES))
    except OSError:
        return False


def _check_size(shape: Shape, path: str) -> None:
    check_size(shape.width, shape.height, path)
    takes_more = shape.n_samples in _WITH_ALPHA or (shape.n_samples > 1 and shape.n_bits > 8)
    if takes_more and shape.width * shape.height > MAX_DEEP_PIXELS:
        size = f"{shape.width:,} × {shape.height:,} of deep color or with alpha"
        raise too_large(size, path, MAX_DEEP_PIXELS)


def _check_channels(shape: Shape, source: bytes, *, is_jpeg_2000: bool) -> None:
    """Refuse what is neither grey nor RGB: palettes, CMYK, and channels that nothing explains."""
    boxes = source[: max(0, source.find(START_OF_JPEG_2000))] if is_jpeg_2000 else b""
    if _PALETTE in boxes:
        raise ValueError("its palette is not supported")
    has_alpha = shape.n_samples in _WITH_ALPHA and _CHANNELS in boxes and not shape.is_signed
    if shape.n_samples not in {1, 3} and not has_alpha:
        raise ValueError(f"its {shape.n_samples} channels are not supported")


def _find_decoder(source: bytes, extension: str, path: str) -> Callable[[bytes], NDArray[Any]]:
    try:
        import imagecodecs
    except ImportError:
        raise DataError(
            f"Reading {path} needs imagecodecs: pip install 'convsearch[dicom]'"
        ) from None
    decoder: Callable[[bytes], NDArray[Any]]
    if extension in JPEG_2000:
        decoder = imagecodecs.jpeg2k_decode
    elif extension in JPEG_LS:
        if _END_OF_JPEG not in source[-_END_BYTES:]:  # CharLS looks for it for ten seconds.
            raise ValueError("its JPEG-LS is truncated")
        decoder = imagecodecs.jpegls_decode
    else:
        decoder = imagecodecs.jpegsof3_decode
    return decoder
