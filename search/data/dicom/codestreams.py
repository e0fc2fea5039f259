"""Decoders of compressed frames by imagecodecs, as plug-ins of pydicom.

The shape that a codestream declares is compared with that of the file before it is decoded: a
damaged one could ask for any amount of memory.

Source: https://pydicom.github.io/pydicom/3.0/guides/decoding/decoder_plugins.html
"""

import struct
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from search.data.codestream_shapes import shape_of_jpeg, shape_of_jpeg_2000
from search.data.dicom.reasons import DAMAGED, DicomError
from search.data.image_limits import MAX_SCANS
from search.data.source_api import OUT_OF_MEMORY

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

PLUGIN = ("search.data.dicom.codestreams", "decode_frame")
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
"""Baseline, and extended with 12 bits."""
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
"""Of each: lossless, and another."""
SYNTAXES = (*JPEG, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000)
DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs",))
_COLORS_OF_JPEG_2000 = ("YBR_ICT", "YBR_RCT", "RGB")
"""Of which the codestream itself is color, so that the decoder returns RGB."""
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_SIGNATURE_BOX, _BOX_HEADER = 12, 8
"""Bytes of the first box, and of the length and kind of each."""
_START_OF_SCAN = b"\xff\xda"
_END_OF_JPEG = b"\xff\xd9"


def end_search_for_codestreams() -> None:
    """Make pydicom's search for the codestream in a JP2 file end.

    It goes from box to box by their lengths: one of length 0 would keep it where it is for ever.
    """
    import pydicom.pixels.decoders.base

    base: Any = pydicom.pixels.decoders.base

    search = base.get_j2k_parameters
    if getattr(search, "has_end", False):
        return

    def find_parameters(codestream: bytes) -> dict[str, Any]:
        return search(codestream) if _boxes_lead_on(codestream) else {}

    find_parameters.has_end = True  # type: ignore[attr-defined]
    base.get_j2k_parameters = find_parameters


def _boxes_lead_on(source: bytes) -> bool:
    """Whether each box before the codestream of a JP2 file has a length."""
    place = _SIGNATURE_BOX
    while source.startswith(_JP2_SIGNATURE) and place < len(source):
        length = int.from_bytes(source[place : place + 4], "big")
        if source[place + 4 : place + 8] == b"jp2c":
            return True
        if length < _BOX_HEADER:
            return False
        place += length
    return True


def is_available(uid: str) -> bool:
    """Whether this decoder decodes a transfer syntax."""
    return uid in SYNTAXES


def decode_frame(source: bytes, runner: "DecodeRunner") -> bytes:
    """Return the pixels of a codestream, little-endian, color as RGB by pixel.

    Raises:
        DicomError: If its shape is not what the file says, or it is damaged.
    """
    syntax = str(runner.transfer_syntax)
    colors = str(runner.photometric_interpretation)
    find_shape = shape_of_jpeg_2000 if syntax in JPEG_2000 else shape_of_jpeg
    expected = (runner.rows, runner.columns, runner.samples_per_pixel)
    try:
        shape = tuple(find_shape(source)[:3])
    except struct.error as error:
        raise DicomError(DAMAGED) from error
    if shape != expected:
        raise DicomError(f"its compressed frame has the shape {shape}, not {expected}")
    try:
        pixels = _decode(source, syntax, colors)
    except DicomError:
        raise
    except MemoryError as error:
        raise DicomError(OUT_OF_MEMORY) from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise DicomError(DAMAGED) from error
    n_samples = pixels.shape[2] if pixels.ndim == 3 else 1
    if (*pixels.shape[:2], n_samples) != expected:
        raise DicomError(f"its compressed frame has the shape {pixels.shape}")
    if n_samples > 1:
        runner.set_option("planar_configuration", 0)
        if syntax in JPEG or colors in _COLORS_OF_JPEG_2000:  # pydicom converts others.
            runner.set_option("photometric_interpretation", "RGB")
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def _decode(source: bytes, syntax: str, colors: str) -> NDArray[Any]:
    import imagecodecs

    if syntax in JPEG_LOSSLESS:
        pixels = imagecodecs.jpegsof3_decode(source)
    elif syntax in JPEG_2000:
        pixels = imagecodecs.jpeg2k_decode(source)
    elif syntax in JPEG_LS:
        if not source.rstrip(b"\0").endswith(_END_OF_JPEG):  # CharLS looks for it for ten seconds.
            raise DicomError("its JPEG-LS is truncated")
        pixels = imagecodecs.jpegls_decode(source)
    elif source.count(_START_OF_SCAN) > MAX_SCANS:
        raise DicomError(f"its JPEG has more than {MAX_SCANS} scans")
    elif colors.startswith("MONOCHROME") or colors == "PALETTE COLOR":
        pixels = imagecodecs.jpeg_decode(source)
    else:
        stored = "RGB" if colors == "RGB" else "YCBCR"
        pixels = imagecodecs.jpeg_decode(source, colorspace=stored, outcolorspace="RGB")
    found: NDArray[Any] = pixels
    return found
