"""What the numbers of a TIFF mean beyond Pillow's modes: their sign, and which of them is white.

Pillow inverts grey whose smallest value is white (`WhiteIsZero`) with 8 bits and less, but not
deeper grey. It reads signed 8-bit values, and unsigned 32-bit ones, without regard to the sign.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO = 0
_UNSIGNED, _SIGNED = 1, 2


def stored_values(image: Image.Image) -> NDArray[Any]:
    """Return grey of more than 8 bits, as integers or floats; the smallest value is black."""
    values = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None:
        return values
    if values.dtype == np.int32 and _first(tags, _SAMPLE_FORMAT, _UNSIGNED) == _UNSIGNED:
        values = values.view(np.uint32)
    if _first(tags, _PHOTOMETRIC, None) == _WHITE_IS_ZERO:
        return _invert(values, _first(tags, _BITS, 1))
    return values


def as_signed(levels: NDArray[np.uint8], image: Image.Image) -> NDArray[Any]:
    """Return 8-bit values of a TIFF, signed if it says so."""
    tags: Any = getattr(image, "tag_v2", None)
    is_signed = tags is not None and _first(tags, _SAMPLE_FORMAT, _UNSIGNED) == _SIGNED
    return levels.view(np.int8) if is_signed else levels


def _invert(values: NDArray[Any], n_bits: Any) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return 1 - values
    if values.dtype.kind == "i":
        return ~values
    most = 2**n_bits - 1 if isinstance(n_bits, int) and 0 < n_bits <= 32 else 0
    inverted: NDArray[Any] = values.dtype.type(most) - np.minimum(values, most)
    return inverted


def _first(tags: Any, tag: int, otherwise: Any) -> Any:
    found = tags.get(tag, otherwise)
    return found[0] if isinstance(found, tuple) and found else found
