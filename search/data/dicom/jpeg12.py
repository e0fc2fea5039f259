"""A decoder of 12-bit JPEG for pydicom, which has none of its own; it follows its plug-in rules.

Source: https://pydicom.github.io/pydicom/3.0/guides/decoding/decoder_plugins.html
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
DECODER_DEPENDENCIES = {JPEG_EXTENDED: ("imagecodecs",)}


def is_available(uid: str) -> bool:
    """Whether this decoder decodes a transfer syntax."""
    return uid == JPEG_EXTENDED


def decode_frame(source: bytes, runner: "DecodeRunner") -> bytes:
    """Return the pixels of an encoded frame, little-endian."""
    import imagecodecs

    pixels = imagecodecs.jpeg_decode(source)
    if pixels.shape[:2] != (runner.rows, runner.columns):
        raise ValueError(f"its JPEG has the shape {pixels.shape}")
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
