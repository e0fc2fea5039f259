"""Reading one image file of any format: the pixels, or why there are none."""

import os
from pathlib import Path

from search.data.decode import DECODE_ERRORS, decode, describe_decode_error
from search.data.decode import EXTENSIONS as PICTURES
from search.data.dicom.header import EXTENSIONS as DICOM
from search.data.dicom.header import describe_error, dicom_errors, has_magic
from search.data.source_api import Decoded, UnreadableImage
from search.errors import DataError

EXTENSIONS = PICTURES | DICOM
"""Of files that are images by their names; DICOM files often have none."""


def read_image(path: str, frame: int | None = None) -> Decoded | UnreadableImage:
    """Read an image file, or a frame, counted from 0, of one that may have several.

    Without `frame`, the first image is read, and `has_pages` says whether there are others.

    Raises:
        DataError: If it would take too much memory or time, or a package is not installed.
    """
    if is_dicom(path):
        from search.data.dicom.pixels import decode_dicom

        try:
            return decode_dicom(path, frame)
        except DataError:
            raise
        except dicom_errors(path) as error:
            return UnreadableImage(describe_error(error))
    try:
        return decode(path)
    except DataError:
        raise
    except DECODE_ERRORS as error:
        return UnreadableImage(describe_decode_error(error))


def may_be_dicom(name: str) -> bool:
    """Whether a name ends as DICOM, or like those of scanners: `IM0001`, `1.2.840.113619.2`."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return extension in DICOM or not extension or extension[1:].isdigit()


def is_dicom(path: str) -> bool:
    """Whether a file is DICOM, by its name or its first bytes."""
    extension = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if extension in EXTENSIONS:
        return extension in DICOM
    try:
        return Path(path).is_file() and has_magic(path)
    except OSError:
        return False
