"""TIFF files of every type of number, whose smallest value may be white."""

from pathlib import Path

import numpy as np
import pytest

from search.data.decode import DECODE_ERRORS, decode
from tests.search.data.deep_files import save_grey_tiff

RAMP = np.arange(20 * 30).reshape(20, 30) % 251
VALUES = {
    "uint8": RAMP.astype(np.uint8),
    "int8": (RAMP - 120).astype(np.int8),
    "uint16": (RAMP * 16).astype(np.uint16),
    "int16": (RAMP * 20 - 1000).astype(np.int16),
    "uint32": (RAMP * 17_000_000).astype(np.uint32),
    "int32": (RAMP * 1000 - 90_000).astype(np.int32),
    "float32": (RAMP / 250).astype(np.float32),
}


@pytest.mark.parametrize("kind", VALUES)
def test_every_type_of_number_keeps_its_values(tmp_path: Path, kind: str) -> None:
    found = decode(str(save_grey_tiff(tmp_path / "a.tif", VALUES[kind])))
    np.testing.assert_array_equal(found.pixels, VALUES[kind])


@pytest.mark.parametrize("kind", VALUES)
def test_smallest_value_that_is_white_is_read_as_white(tmp_path: Path, kind: str) -> None:
    """As 8 bits are; the types that Pillow does not read so are refused."""
    path = save_grey_tiff(tmp_path / "a.tif", VALUES[kind], white_is_zero=True)
    try:
        found = decode(str(path))
    except DECODE_ERRORS:
        assert kind in {"int8", "int16", "uint32", "int32"}
        return
    values = VALUES[kind].astype(np.float64)
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[kind]
    np.testing.assert_allclose(found.pixels, white - values, atol=1e-6)


@pytest.mark.parametrize("kind", ["float16", "float64", "int64"])
def test_types_that_cannot_be_read_are_refused(tmp_path: Path, kind: str) -> None:
    path = save_grey_tiff(tmp_path / "a.tif", RAMP.astype(kind))
    with pytest.raises(DECODE_ERRORS):
        decode(str(path))
