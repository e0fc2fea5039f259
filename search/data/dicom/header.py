"""The header of a DICOM file: how many frames it has, and the tags that a source uses."""

import logging
import os
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from search.data.source_api import Facts, UnreadableImage
from search.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

EXTENSIONS = frozenset({".dcm", ".dicom", ".ima"})
PREAMBLE, MAGIC = 128, b"DICM"
"""Bytes before the magic of a file; a few old files have neither."""
GROUP_TAGS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
FACT_TAGS = (
    "Manufacturer", "ManufacturerModelName", "Modality", "ViewPosition", "KVP", "SliceThickness",
    "MagneticFieldStrength", "BitsStored", "PatientSex",
)  # fmt: skip
"""Tags of how an image was taken, by which a network could tell classes."""
USED_TAGS = (*GROUP_TAGS, *FACT_TAGS, "ImageType", "BurnedInAnnotation")
MAX_FRAMES = 100_000
MAX_BYTES = 4 * 2**30
MAX_VALUE = 1_000
"""Characters of a tag's value; longer ones are no property to choose images by."""
_SHAPE = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "SOPClassUID")
_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"
"""A few kilobytes unpack to gigabytes, all at once."""


class Header(NamedTuple):
    """What a header says.

    Attributes:
        rows, columns, n_samples: Shape of a frame.
        n_frames: Number of frames, at least 1.
        values: Values of some tags by keyword; a tag that is missing has none.
    """

    rows: int
    columns: int
    n_samples: int
    n_frames: int
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
        return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC


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
    pydicom = import_pydicom(path)
    wanted = [*USED_TAGS, *keywords]
    try:
        if reason := _why_not_to_open(path):
            return UnreadableImage(reason)
        found = pydicom.dcmread(
            path, stop_before_pixels=True, force=True, specific_tags=[*_SHAPE, *wanted]
        )
        return _parse(found, wanted)
    except dicom_errors(path) as error:
        return UnreadableImage(describe_error(error))


def _why_not_to_open(path: str) -> str:
    """Return why a file would take too much memory to parse; empty if it does not."""
    if os.stat(path).st_size > MAX_BYTES:  # noqa: PTH116
        return f"larger than {MAX_BYTES // 2**30} GiB"
    if has_magic(path):
        meta = import_pydicom(path).filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            return "its deflated transfer syntax is not supported"
    return ""


def describe_error(error: BaseException) -> str:
    """Describe one of `dicom_errors` in a line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[-1].strip()[:200]


def _parse(found: "Dataset", wanted: Iterable[str]) -> Header | NoImage | UnreadableImage:
    if found.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
        return NoImage("a DICOM directory, not an image")
    if not found:
        return UnreadableImage("not a DICOM file")
    rows, columns = _number(found, "Rows", 0), _number(found, "Columns", 0)
    if rows < 1 or columns < 1:
        is_object = "SOPClassUID" in found
        reason = "a DICOM file without an image"
        return NoImage(reason) if is_object else UnreadableImage("not a DICOM file")
    n_frames = _number(found, "NumberOfFrames", 1)
    if not 1 <= n_frames <= MAX_FRAMES:
        return UnreadableImage(f"its number of frames is {n_frames}")
    values = {keyword: _texts(found.get(keyword)) for keyword in wanted}
    return Header(rows, columns, _number(found, "SamplesPerPixel", 1), n_frames, values)


def _number(found: "Dataset", keyword: str, default: int) -> int:
    value = found.get(keyword)
    return default if value in (None, "") else int(value)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if not isinstance(value, str) and hasattr(value, "__iter__") else (value,)
    return tuple(text for it in values if (text := str(it).strip()) and len(text) <= MAX_VALUE)
