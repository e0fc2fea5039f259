"""Color of 16 bits a channel: all bits are read."""

from pathlib import Path

import numpy as np
import pytest

from search.data.decode import decode
from search.errors import DataError
from tests.search.data.deep_files import save_deep_png, save_deep_tiff

VALUES = np.random.default_rng(0).integers(0, 65536, (20, 30, 4)).astype(np.uint16)


@pytest.mark.parametrize("n_channels", [2, 3, 4])
def test_all_bits_of_a_png_are_read(tmp_path: Path, n_channels: int) -> None:
    pixels = VALUES[..., -n_channels:].copy()
    if n_channels != 3:
        pixels[:, :15, -1] = 65535
        pixels[:, 15:, -1] = 0
    path = save_deep_png(tmp_path / "a.png", pixels)
    found = decode(str(path))
    expected = pixels[..., 0] if n_channels == 2 else pixels[..., :3].copy()
    if n_channels != 3:
        expected[:, 15:] = 0
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.is_transparent == (n_channels != 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_bits_of_a_tiff_are_read_upright(tmp_path: Path, order: str) -> None:
    path = save_deep_tiff(tmp_path / "a.tif", VALUES[..., :3], order, rotation=3)
    found = decode(str(path))
    np.testing.assert_array_equal(found.pixels, VALUES[::-1, ::-1, :3])


def test_half_transparent_pixels_are_half_as_bright(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 4), 32768, np.uint16)
    found = decode(str(save_deep_png(tmp_path / "a.png", pixels)))
    assert (found.pixels == 16384).all()


def test_large_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(save_deep_png(tmp_path / "a.png", VALUES))
    monkeypatch.setattr("search.data.decode.MAX_DEEP_PIXELS", 599)
    with pytest.raises(DataError, match="30 × 20 of 16-bit color"):
        decode(path)
