"""Reading one image file of any format: the pixels, or why there are none."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from search.data.codec_files import CODEC_ERRORS, decode_codec, is_lossless
from search.data.codec_files import EXTENSIONS as CODECS
from search.data.decode import (
    BOMB_ERRORS,
    DECODE_ERRORS,
    count_tiff_pages,
    decode,
    decoder_warnings,
    describe_decode_error,
)
from search.data.decode import EXTENSIONS as PICTURES
from search.data.dicom.header import EXTENSIONS as DICOM
from search.data.dicom.header import Header, dicom_errors, has_magic, read_header
from search.data.dicom.reasons import describe_error
from search.data.file_names import extension_of
from search.data.image_limits import OversizeError
from search.data.settings import ALL_PAGES, FIRST_PAGE
from search.data.source_api import Decoded, UnreadableImage
from search.data.volumes.slices import Slice, parse_slices
from search.data.volumes.volume import EXTENSIONS as VOLUMES
from search.data.volumes.volume import (
    VOLUME_ERRORS,
    describe_volume_error,
    read_slice,
    read_volume,
)
from search.errors import DataError

EXTENSIONS = PICTURES | CODECS | DICOM | VOLUMES
"""Of files that are images by their names; DICOM files often have none."""
KINDS = "PNG, JPEG, JPEG 2000, BMP, TIFF, WebP, DICOM, NIfTI or MetaImage"
TIFF = (".tif", ".tiff")
AXIAL = 2
Frame = int | Slice | None
"""Which image of a file: a frame or page, counted from 0, a slice of a volume, or the first."""


def read_image(path: str, frame: Frame = None) -> Decoded | UnreadableImage:
    """Read an image file, or one image of a file that may have several.

    Without `frame`, the first image is read, and `has_pages` says whether there are others.

    Raises:
        DataError: If a package is not installed.
    """
    reader = _reader_of(path)
    try:
        return reader.read(path, frame)
    except OversizeError as error:
        return UnreadableImage(error.reason)
    except DataError:
        raise
    except reader.errors as error:
        if not is_lossless(path):
            return UnreadableImage(reader.describe(error))
    try:  # Pillow reads no lossless JPEG.
        return decode_codec(path)
    except CODEC_ERRORS as error:
        return UnreadableImage(describe_decode_error(error))


class _Reader(NamedTuple):
    """How files of a kind are read, what that may raise, and how it is described."""

    read: Callable[[str, Any], Decoded]
    errors: tuple[type[Exception], ...]
    describe: Callable[[BaseException], str]


_PICTURES = _Reader(decode, DECODE_ERRORS, describe_decode_error)


def _reader_of(path: str) -> _Reader:
    extension = extension_of(path)
    if extension in PICTURES:
        return _PICTURES
    if extension in VOLUMES:
        return _Reader(_read_volume, VOLUME_ERRORS, describe_volume_error)
    if is_dicom(path):
        from search.data.dicom.pixels import decode_dicom

        return _Reader(decode_dicom, dicom_errors(path), describe_error)
    if extension in CODECS:
        return _Reader(lambda it, _: decode_codec(it), CODEC_ERRORS, describe_decode_error)
    return _PICTURES


def _read_volume(path: str, frame: Frame) -> Decoded:
    if isinstance(frame, Slice):
        return Decoded(read_slice(path, frame), window=read_volume(path).window)
    volume = read_volume(path)
    pixels = read_slice(path, Slice(AXIAL, 0))
    return Decoded(pixels, has_pages=volume.n_slices(AXIAL) > 1, window=volume.window)


def frames_in(path: str, slices: str, volume: int, pages: str) -> Sequence[Frame]:
    """Return the images in a file: frames of DICOM, or the slices or pages that rules choose.

    A file that cannot be read has one, which says why when it is read. `volume` counts from 1.
    """
    if is_volume(path):
        try:
            rule, header = parse_slices(slices), read_volume(path)
        except VOLUME_ERRORS:
            return (None,)
        numbers = rule.numbers(header.n_slices(rule.axis))
        return [Slice(rule.axis, number, volume - 1) for number in numbers]
    if pages != FIRST_PAGE and has_pages(path):
        if pages != ALL_PAGES:
            return (int(pages) - 1,)
        n_pages = count_pages(path)
        return range(n_pages) if n_pages > 1 else (None,)
    n_frames = count_frames(path) if is_dicom(path) else 1
    return range(n_frames) if n_frames > 1 else (None,)


def count_frames(path: str) -> int:
    """Return the number of frames of a DICOM file; 1 if it cannot be read."""
    header = read_header(path)
    return header.n_frames if isinstance(header, Header) else 1


def has_pages(name: str) -> bool:
    """Whether a file is of a kind that may have several pages, by its name."""
    return extension_of(name) in TIFF


def count_pages(path: str) -> int:
    """Return the number of pages of a TIFF file; 1 if it cannot be read."""
    try:
        with decoder_warnings():
            return count_tiff_pages(path)
    except (DataError, *DECODE_ERRORS, *BOMB_ERRORS):
        return 1


def frame_name(name: str, frame: Frame) -> str:
    """Return the name of an image, given that of its file."""
    return name if frame is None else f"{name}#{frame_number(frame) + 1}"


def frame_number(frame: Frame) -> int:
    """Return the number of an image in its file, from 0."""
    return frame.number if isinstance(frame, Slice) else frame or 0


def is_volume(name: str) -> bool:
    """Whether a file is NIfTI or a MetaImage, by its name."""
    return extension_of(name) in VOLUMES


def may_be_dicom(name: str) -> bool:
    """Whether a name ends as DICOM, or like those of scanners: `IM0001`, `1.2.840.113619.2`."""
    extension = extension_of(name)
    return extension in DICOM or not extension or extension[1:].isdigit()


def is_dicom(path: str) -> bool:
    """Whether a file is DICOM, by its name or its first bytes."""
    extension = extension_of(path)
    if extension in EXTENSIONS:
        return extension in DICOM
    try:
        return Path(path).is_file() and has_magic(path)
    except OSError:
        return False
