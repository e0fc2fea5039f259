"""Why a DICOM file cannot be read, in words of our own.

Those of pydicom are for programmers, and may repeat bytes of the header: a patient's name too.
"""

import re
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from search.data.source_api import OUT_OF_MEMORY

if TYPE_CHECKING:
    from pydicom import Dataset

TAGS_OF_PIXELS = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "BitsAllocated", "BitsStored", "PixelRepresentation",
)  # fmt: skip
"""Tags without which, or with a wrong value of which, there are no pixels."""
DAMAGED_HEADER = "its header is damaged or ends early"
DAMAGED = "its compressed pixels are damaged or end early"
_COLOR_ONLY = "PlanarConfiguration"
_ALLOWED: Mapping[str, Container[Any]] = {
    "SamplesPerPixel": (1, 3),
    "BitsAllocated": (1, 8, 16, 32, 64),
    "PixelRepresentation": (0, 1),
    _COLOR_ONLY: (0, 1),
}
_COLORS = (
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT",
    "YBR_RCT",
)  # fmt: skip
_PLURALS = {"SamplesPerPixel": "channels", "BitsAllocated": "bits per value"}
_OF_INTEGERS = ("BitsStored", "PixelRepresentation")
_FLOATS = (32, 64)
"""Tags that pixels which are floats do not have, and their bits."""
_MAX_NUMBER = 10**6
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}|[0-9.]{1,64}|[A-Z][\w ().,/:;-]{1,100}")
"""A code of DICOM, a UID, or the name of one."""


class DicomError(ValueError):
    """A DICOM file cannot be used, for a reason that users can read."""


def describe_error(error: BaseException) -> str:
    """Describe one of `dicom_errors` in a line."""
    if isinstance(error, DicomError):
        return str(error)
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    return getattr(error, "strerror", None) or DAMAGED_HEADER


def why_no_pixels(tags: "Dataset", own_reason: str, *, is_compressed: bool) -> DicomError:
    """Return the error for a file whose pixels pydicom does not decode.

    Args:
        tags: `TAGS_OF_PIXELS` of the file.
        own_reason: What our decoder says; empty if it was not reached.
        is_compressed: Whether the pixels are compressed.
    """
    reason = own_reason or next(_faults(tags), "")
    if not reason and is_compressed:
        reason = DAMAGED
    size = f"{tags.get('Columns')} × {tags.get('Rows')}"
    return DicomError(reason or f"its pixels end early: there are fewer than {size}")


def _faults(tags: "Dataset") -> Iterator[str]:
    """Yield what is wrong with the values of the tags."""
    values = {keyword: tags.get(keyword) for keyword in TAGS_OF_PIXELS}
    if values["SamplesPerPixel"] != 3:
        values.pop(_COLOR_ONLY)
    if values["BitsAllocated"] in _FLOATS and not any(values[it] for it in _OF_INTEGERS):
        values = {keyword: it for keyword, it in values.items() if keyword not in _OF_INTEGERS}
    if missing := [keyword for keyword, value in values.items() if value in (None, "")]:
        yield f"its header lacks {' and '.join(missing)}"
    for keyword, allowed in _ALLOWED.items():
        if keyword in values and values[keyword] not in allowed:
            what = f"its {_PLURALS[keyword]} are" if keyword in _PLURALS else f"its {keyword} is"
            yield unsupported(what, values[keyword])
    stored, most = values.get("BitsStored", 1), values["BitsAllocated"]
    if not (isinstance(stored, int) and 1 <= stored <= most):
        is_shown = isinstance(stored, int) and abs(stored) < _MAX_NUMBER
        yield (
            f"its header is damaged: it uses {stored} of {most} bits a value"
            if is_shown
            else "its header is damaged: its BitsStored is no number"
        )
    if (colors := str(values["PhotometricInterpretation"])) not in _COLORS:
        yield unsupported("its colors are", colors)


def unsupported(what: str, value: object) -> str:
    """Return that something is not supported, with its value if that is a number or a code.

    In a damaged header, anything may stand in its place.
    """
    is_number = isinstance(value, int) and abs(value) < _MAX_NUMBER
    is_shown = is_number or (isinstance(value, str) and _CODE.fullmatch(value))
    return f"{what} not supported{f': {value}' if is_shown else ''}"
