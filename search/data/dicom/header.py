"""The header of a DICOM file: how many frames it has, and the tags that a source uses."""

import logging
import os
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from search.data.dicom.reasons import DAMAGED_HEADER, describe_error
from search.data.source_api import Facts, UnreadableImage
from search.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

EXTENSIONS = frozenset({".dcm", ".dicom", ".ima"})
PREAMBLE, MAGIC = 128, b"DICM"
"""Bytes before the magic of a file; a few old files have neither."""
META = b"\x02\0\0\0UL\4\0"
"""How a file without them begins, if it says how it is stored."""
GROUP_TAGS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
FACT_TAGS = (
    "Manufacturer", "ManufacturerModelName", "Modality", "ViewPosition", "KVP", "SliceThickness",
    "MagneticFieldStrength", "BitsStored", "PatientSex",
)  # fmt: skip
"""Tags of how an image was taken, by which a network could tell classes."""
USED_TAGS = (*GROUP_TAGS, *FACT_TAGS, "ImageType", "BurnedInAnnotation")
NO_IMAGE, CUT = "a DICOM file without an image", "the file is truncated"
MAX_FRAMES = 100_000
MAX_BYTES = 4 * 2**30
MAX_VALUE = 1_000
"""Characters of a tag's value; longer ones are no property to choose images by."""
_SHAPE = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "SOPClassUID")
_DIRECTORY = "1.2.840.10008.1.3.10"
_IMPLICIT, _EXPLICIT, _BIG_ENDIAN = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
)
_DEFLATED = "1.2.840.10008.1.2.1.99"
"""A few kilobytes unpack to gigabytes, all at once."""
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""Tags of floats, of long floats, and of integers."""
_COLUMNS = 0x00280011
_UNDEFINED = 0xFFFFFFFF
"""The length of compressed pixels."""


class Header(NamedTuple):
    """What a header says.

    Attributes:
        rows, columns, n_samples: Shape of a frame.
        n_frames: Number of frames, at least 1.
        syntax: The transfer syntax; empty if pixels are compressed in an unknown way.
        values: Values of some tags by keyword; a tag that is missing has none.
    """

    rows: int
    columns: int
    n_samples: int
    n_frames: int
    syntax: str
    values: Mapping[str, tuple[str, ...]]

    def facts(self) -> Facts:
        """Return how the image was taken."""
        return tuple((f"the DICOM tag {it}", self.value(it)) for it in FACT_TAGS if self.value(it))

    def value(self, keyword: str) -> str:
        """Return a value as one text, with several ones separated as in the file."""
        return "\\".join(self.values.get(keyword, ()))


class NoImage(NamedTuple):
    """Why a DICOM file is no image: it holds something else."""

    reason: str


def has_magic(path: str) -> bool:
    """Whether a file begins as DICOM files do."""
    with open(path, "rb") as file:  # noqa: PTH123
        start = file.read(PREAMBLE + len(MAGIC))
    return start[PREAMBLE:] == MAGIC or start.startswith(META)


def import_pydicom(path: str = "DICOM files") -> Any:
    """Import pydicom, with its checks of values that nobody uses off.

    Raises:
        DataError: If it is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise DataError(f"Reading {path} needs pydicom: pip install 'convsearch[dicom]'") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    return pydicom


def dicom_errors(path: str) -> tuple[type[Exception], ...]:
    """Return what pydicom and its decoders raise on damaged files."""
    errors = import_pydicom(path).errors
    return (
        OSError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, AttributeError,
        MemoryError, NotImplementedError, RuntimeError, struct.error,
        errors.BytesLengthException, errors.InvalidDicomError,
    )  # fmt: skip


def check_keywords(keywords: Iterable[str]) -> None:
    """Raise `DataError` if a name is not the keyword of a DICOM tag."""
    import_pydicom()
    from pydicom.datadict import tag_for_keyword

    for keyword in keywords:
        if tag_for_keyword(keyword) is None:
            raise DataError(
                f"Expected keywords of DICOM tags for --where, such as Modality=MR. Received:"
                f" {keyword!r}."
            )


def read_header(path: str, keywords: Iterable[str] = ()) -> Header | NoImage | UnreadableImage:
    """Read the header of a file, without its pixels."""
    errors = dicom_errors(path)
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return _why_not_to_parse(file) or _parse(file, [*USED_TAGS, *keywords])
    except errors as error:
        return UnreadableImage(describe_error(error))


def _why_not_to_parse(file: BinaryIO) -> UnreadableImage | None:
    """Return why a file would take too much memory to parse, if it does."""
    if os.fstat(file.fileno()).st_size > MAX_BYTES:
        return UnreadableImage(f"larger than {MAX_BYTES // 2**30} GiB")
    reader = import_pydicom().filereader
    reader.read_preamble(file, force=True)
    if reader._read_file_meta_info(file).get("TransferSyntaxUID") == _DEFLATED:
        return UnreadableImage("its deflated transfer syntax is not supported")
    return None


def _parse(file: BinaryIO, wanted: Iterable[str]) -> Header | NoImage | UnreadableImage:
    pydicom = import_pydicom()
    file.seek(0)
    tags = list(map(pydicom.datadict.tag_for_keyword, (*_SHAPE, *wanted)))
    last = _LastElement(file)
    found = pydicom.filereader.read_partial(file, last.is_pixels, force=True, specific_tags=tags)
    rows, columns = _number(found, "Rows", 0), _number(found, "Columns", 0)
    if without := _why_no_image(found, last, has_size=rows >= 1 and columns >= 1):
        return without
    n_frames = _number(found, "NumberOfFrames", 1)
    if not 1 <= n_frames <= MAX_FRAMES:
        return UnreadableImage(f"its number of frames is {n_frames}")
    values = {keyword: _texts(found.get(keyword)) for keyword in wanted}
    n_samples = _number(found, "SamplesPerPixel", 1)
    return Header(rows, columns, n_samples, n_frames, _syntax_of(found, last.length), values)


class _LastElement:
    """The element that pydicom has come to: the pixels, or the last one of a file without any."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tag, self.length, self._end = 0, 0, 0

    def is_pixels(self, tag: int, _: str | None, length: int) -> bool:
        """Whether pydicom has come to the pixels; it asks at each element."""
        self.tag, self.length, self._end = tag, length, self._file.tell() + length
        return tag in _PIXELS

    def is_whole(self) -> bool:
        """Whether the file ends with the value, as far as its header says its length."""
        return self.length == _UNDEFINED or self._end == os.fstat(self._file.fileno()).st_size


def _why_no_image(
    found: "Dataset", last: _LastElement, *, has_size: bool
) -> NoImage | UnreadableImage | None:
    if found.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
        return NoImage("a DICOM directory, not an image")
    if not has_size and "SOPClassUID" not in found:
        is_dicom = found.preamble or found.file_meta
        return UnreadableImage(DAMAGED_HEADER if is_dicom else "not a DICOM file")
    if has_size and last.tag in _PIXELS:
        return None
    may_be_image = has_size or last.tag < _COLUMNS
    return UnreadableImage(CUT) if may_be_image and not last.is_whole() else NoImage(NO_IMAGE)


def _syntax_of(found: "Dataset", length: int) -> str:
    """Return the transfer syntax that a file states, or by which pydicom could read it."""
    if stated := found.file_meta.get("TransferSyntaxUID"):
        return str(stated)
    if length == _UNDEFINED:
        return ""
    is_implicit, is_little_endian = found.original_encoding
    if is_implicit:
        return _IMPLICIT
    return _EXPLICIT if is_little_endian else _BIG_ENDIAN


def _number(found: "Dataset", keyword: str, default: int) -> int:
    value = found.get(keyword)
    return default if value in (None, "") else int(value)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if not isinstance(value, str) and hasattr(value, "__iter__") else (value,)
    return tuple(text for it in values if (text := str(it).strip()) and len(text) <= MAX_VALUE)
