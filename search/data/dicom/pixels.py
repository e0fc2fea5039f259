"""The pixels of a frame of a DICOM file, as the scanner's numbers.

Rescale slope and intercept are applied, so CT has Hounsfield units. The smallest value is black,
also where the file says that it is white. Padding is black. Palettes and YBR become RGB. Grey
images that are not of 8 bits become floats, since scanners store one scale in different types.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from threading import Lock, local
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.data.dicom.codestreams import PLUGIN, SYNTAXES, end_search_for_codestreams
from search.data.dicom.header import Header, dicom_errors, import_pydicom, read_header
from search.data.dicom.reasons import TAGS_OF_PIXELS, DicomError, unsupported, why_no_pixels
from search.data.image_limits import check_size
from search.data.pixel_values import LARGEST_8_BIT
from search.data.source_api import Decoded
from search.errors import DataError
from spaces.wording import plural

if TYPE_CHECKING:
    from pydicom import Dataset

RLE = "1.2.840.10008.1.2.5"
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
OURS = "convsearch"
DECODERS: Mapping[str, str] = {
    **dict.fromkeys(SYNTAXES, OURS),
    **dict.fromkeys(UNCOMPRESSED, ""),
    RLE: "pydicom",
}
"""The decoder of each transfer syntax: decoders differ, so none is tried by chance."""
_TAGS = (
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept",
    "WindowCenter", "WindowWidth", "DoseGridScaling", "ModalityLUTSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_adding, _last = Lock(), local()  # Images are also decoded in threads.
GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"


class _Parsed(NamedTuple):
    """What was parsed of a file: its frames share it, and one has thousands of them.

    Attributes:
        stamp: Path, number, size and modification time of the file.
        tags: Those that say what stored values mean; filled in with the first frame.
    """

    stamp: tuple[str, int, int, int]
    header: Header
    tags: "Dataset"


def decode_dicom(path: str, frame: int | None = None) -> Decoded:
    """Read a frame, counted from 0; without a number, the first.

    Raises:
        DataError: If it would take too much memory, or pydicom is not installed.
        Exception: One of `dicom_errors`, if the file is damaged or not supported.
    """
    parsed = _parse(path)
    header, dataset = parsed.header, parsed.tags
    number = frame or 0
    if number >= header.n_frames:
        raise DicomError(f"it has {plural(header.n_frames, 'frame')}")
    try:
        stored = _decode(path, number, parsed)
    except DataError:
        raise
    except dicom_errors(path) as error:
        raise _explain(path, header, error) from error
    with np.errstate(over="ignore", invalid="ignore"):  # Infinite values are refused later.
        pixels = np.ascontiguousarray(_as_measured(stored, dataset, header, number))
    return Decoded(
        pixels,
        has_pages=frame is None and header.n_frames > 1,
        window=_window_or_none(stored, dataset, number),
    )


def _parse(path: str) -> _Parsed:
    """Parse a file, or return what the last call of this thread has parsed: the same file."""
    found = os.stat(path)  # noqa: PTH116
    stamp = (path, found.st_ino, found.st_size, found.st_mtime_ns)
    kept: _Parsed | None = getattr(_last, "parsed", None)
    if kept is None or kept.stamp != stamp:
        _last.parsed = None
        header = read_header(path)
        if not isinstance(header, Header):
            raise DicomError(header.reason)
        check_size(header.columns, header.rows, path)
        _check_syntax(header.syntax)
        kept = _Parsed(stamp, header, import_pydicom().Dataset())
        if header.n_frames > 1:
            _last.parsed = kept
    return kept


def _check_syntax(syntax: str) -> None:
    if not syntax:
        raise DicomError("it does not say its transfer syntax")
    if syntax not in DECODERS:
        raise DicomError(
            unsupported("its transfer syntax is", import_pydicom().uid.UID(syntax).name)
        )


def _decode(path: str, number: int, parsed: _Parsed) -> NDArray[Any]:
    """Return the stored values of a frame; the first time, also fill in the tags of its file."""
    pydicom = import_pydicom(path)
    syntax = parsed.header.syntax
    if syntax in SYNTAXES:
        _add_decoder(syntax, path)
    tags = () if parsed.tags else map(pydicom.datadict.tag_for_keyword, _TAGS)
    with open(path, "rb") as file:  # noqa: PTH123
        stored: NDArray[Any] = pydicom.pixels.pixel_array(
            file,
            ds_out=None if parsed.tags else parsed.tags,
            specific_tags=list(tags),
            index=number,
            decoding_plugin=DECODERS[syntax],
            transfer_syntax_uid=syntax,
        )
    return stored


def _explain(path: str, header: Header, error: Exception) -> Exception:
    """Return an error that says why a frame could not be decoded."""
    if isinstance(error, MemoryError) or getattr(error, "strerror", None):
        return error
    _, begins_ours, own_reason = str(error).partition(f"{OURS}: ")
    tags = import_pydicom(path).dcmread(
        path, stop_before_pixels=True, force=True, specific_tags=list(TAGS_OF_PIXELS)
    )
    is_compressed = header.syntax not in UNCOMPRESSED
    return why_no_pixels(tags, own_reason if begins_ours else "", is_compressed=is_compressed)


def _add_decoder(syntax: str, path: str) -> None:
    """Tell pydicom of the decoder of a transfer syntax, once.

    Raises:
        DataError: If imagecodecs is not installed.
    """
    if not find_spec("imagecodecs"):
        raise DataError(f"Reading {path} needs imagecodecs: pip install 'convsearch[dicom]'")
    decoder = import_pydicom().pixels.get_decoder(syntax)
    with _adding:
        end_search_for_codestreams()
        if DECODERS[syntax] not in decoder.available_plugins:
            decoder.add_plugin(DECODERS[syntax], PLUGIN)


def _as_measured(
    stored: NDArray[Any], dataset: "Dataset", header: Header, frame: int
) -> NDArray[Any]:
    kind = dataset.PhotometricInterpretation
    if kind == PALETTE:
        colors = import_pydicom().pixels.apply_color_lut(stored, dataset)[..., :3]
        levels: NDArray[Any] = colors >> 8 if colors.max() > LARGEST_8_BIT else colors
        return levels.astype(np.uint8)
    if header.n_samples == 3:
        return stored
    if kind not in GREY or stored.ndim != 2:
        raise DicomError(unsupported("its colors are", str(kind)))
    if dataset.BitsAllocated == 1:
        is_white: NDArray[np.bool_] = stored.astype(bool) ^ (kind == "MONOCHROME1")
        return is_white.astype(np.uint8) * np.uint8(255)
    is_padding = _find_padding(stored, dataset)
    values = _rescale(stored, dataset, frame)
    if kind == "MONOCHROME1":
        values = _invert(values, stored, dataset, frame)
    if is_padding.any() and not is_padding.all():
        values = values.copy()
        values[is_padding] = values[~is_padding].min()
    return values if values.dtype == np.uint8 else values.astype(np.float32)


def _find_padding(stored: NDArray[Any], dataset: "Dataset") -> NDArray[np.bool_]:
    ends = [
        np.atleast_1d(value)[:1].astype(np.int64).astype(stored.dtype)  # Its sign may be wrong.
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if (value := dataset.get(keyword)) not in (None, "")
    ]
    if not ends:
        return np.zeros(stored.shape, bool)
    is_padding: NDArray[np.bool_] = (stored >= min(ends)) & (stored <= max(ends))
    return is_padding


def _rescale(stored: NDArray[Any], dataset: "Dataset", frame: int) -> NDArray[Any]:
    """Apply the modality's table, or slope and intercept, to stored values."""
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(import_pydicom().pixels.apply_modality_lut(stored, dataset))
    slope, intercept = _find_rescale(dataset, frame)
    if (slope, intercept) == (1.0, 0.0):
        return stored
    return np.asarray(stored * np.float64(slope) + intercept)


def _find_rescale(dataset: "Dataset", frame: int) -> tuple[float, float]:
    """Return slope and intercept: those of a frame, if it has its own."""
    slope, intercept = float(dataset.get("DoseGridScaling") or 1), 0.0
    for place in _places(dataset, "PixelValueTransformationSequence", frame):
        found = place.get("RescaleSlope"), place.get("RescaleIntercept")
        slope = slope if found[0] in (None, "", 0) else float(found[0])
        intercept = intercept if found[1] in (None, "") else float(found[1])
    return slope, intercept


def _window_or_none(
    stored: NDArray[Any], dataset: "Dataset", frame: int
) -> tuple[float, float] | None:
    """Return the window that a file proposes; a damaged one is none."""
    try:
        return _find_window(stored, dataset, frame)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
        return None


def _find_window(
    stored: NDArray[Any], dataset: "Dataset", frame: int
) -> tuple[float, float] | None:
    """Return the ends of the first window that a file proposes for a frame."""
    window = None
    for place in _places(dataset, "FrameVOILUTSequence", frame):
        found = [place.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
        if not any(it in (None, "") for it in found):
            center, width = (float(np.atleast_1d(it)[0]) for it in found)
            window = (center - width / 2, center + width / 2)
    if window is None or not np.isfinite(window).all() or window[0] >= window[1]:
        return None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        low, high = sorted(_invert(np.array(window), stored, dataset, frame).tolist())
        window = (low, high)
    return window


def _places(dataset: "Dataset", sequence: str, frame: int) -> list["Dataset"]:
    """Return where a tag of a frame can be, the last of which counts most."""
    places = [dataset]
    for groups, index in (
        ("SharedFunctionalGroupsSequence", 0),
        ("PerFrameFunctionalGroupsSequence", frame),
    ):
        found = dataset.get(groups)
        if found and index < len(found):
            places += found[index].get(sequence) or []
    return places


def _invert(
    values: NDArray[Any], stored: NDArray[Any], dataset: "Dataset", frame: int
) -> NDArray[Any]:
    """Mirror values at the middle of those that could be stored."""
    if stored.dtype.kind == "f":
        return -values
    n_bits = int(dataset.BitsStored)
    lowest = -(2 ** (n_bits - 1)) if dataset.PixelRepresentation else 0
    ends = np.array([lowest, lowest + 2**n_bits - 1], np.int64)
    low, high = _rescale(ends, dataset, frame).tolist()
    mirrored: NDArray[Any] = low + high - values.astype(np.float64)
    return mirrored.astype(np.uint8) if values.dtype == np.uint8 else mirrored
