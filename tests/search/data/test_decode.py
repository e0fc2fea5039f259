from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.decode import decode as decode_file
from search.data.pixel_values import to_uint8
from search.errors import DataError

RAMP = np.linspace(0, 255, 6 * 8).reshape(6, 8).astype(np.uint8)


def decode(path: str) -> np.ndarray:
    return decode_file(path).pixels


def _save(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)
    return str(path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "TIFF"])
def test_lossless_formats_give_back_their_pixels(tmp_path: Path, suffix: str) -> None:
    path = _save(Image.fromarray(RAMP), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(decode(path), RAMP)


def test_webp_is_color(tmp_path: Path) -> None:
    pixels = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
    path = _save(Image.fromarray(pixels), tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(decode(path), pixels)


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    path = _save(Image.fromarray(RAMP), tmp_path / "a.jpg", quality=95)
    assert np.abs(decode(path).astype(int) - RAMP).max() < 12


def test_palette_becomes_its_colors(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    path = _save(image, tmp_path / "a.png")
    np.testing.assert_array_equal(decode(path), [[[255, 0, 0], [0, 0, 255]]])


def test_transparent_parts_become_black(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0]]], np.uint8)
    path = _save(Image.fromarray(pixels), tmp_path / "a.png")
    np.testing.assert_array_equal(decode(path), [[[200, 100, 50], [0, 0, 0]]])


def test_grey_with_alpha_is_composed_onto_black(tmp_path: Path) -> None:
    image = Image.merge("LA", [Image.fromarray(RAMP), Image.new("L", (8, 6), 0)])
    assert decode(_save(image, tmp_path / "a.png")).max() == 0


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = _save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "a.tif")
    np.testing.assert_array_equal(decode(path)[0, 0], [255, 0, 0])


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    path = _save(Image.fromarray(RAMP > 100), tmp_path / "a.png")
    np.testing.assert_array_equal(decode(path), np.where(RAMP > 100, 255, 0))


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: rotate clockwise.
    path = _save(Image.fromarray(RAMP), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(decode(path), np.rot90(RAMP, -1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_fills_0_to_255_by_its_own_range(tmp_path: Path, suffix: str) -> None:
    deep = (1000 + RAMP.astype(np.uint16) * 10).astype(np.uint16)
    path = _save(Image.fromarray(deep), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(decode(path), deep)
    np.testing.assert_array_equal(to_uint8(decode(path)), RAMP)


def test_float_tiff_fills_0_to_255_by_its_own_range(tmp_path: Path) -> None:
    path = _save(Image.fromarray(RAMP.astype(np.float32) / 100 - 1), tmp_path / "a.tif")
    assert np.abs(to_uint8(decode(path)).astype(int) - RAMP).max() <= 1


def test_deep_image_of_one_value_is_black() -> None:
    assert to_uint8(np.full((4, 4), 700, np.uint16)).max() == 0


def test_image_with_too_many_pixels_is_refused_undecoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _save(Image.new("1", (9000, 8000)), tmp_path / "bomb.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=r"at most 64 megapixels .* Received: 9,000 × 8,000 in"):
        decode(path)


def test_image_beyond_pillows_own_limit_is_refused(tmp_path: Path) -> None:
    path = _save(Image.new("1", (20_000, 10_000)), tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"at most 64 megapixels .* more than 89,478,485 pixels"):
        decode(path)


def test_file_over_the_size_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.image_limits.MAX_FILE_BYTES", 10)
    path = _save(Image.fromarray(RAMP), tmp_path / "a.bmp")
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(DataError, match="Expected image files of at most"):
        decode(path)


def test_other_formats_are_not_tried(tmp_path: Path) -> None:
    path = _save(Image.fromarray(RAMP), tmp_path / "a.gif")
    with pytest.raises(OSError, match="cannot identify"):
        decode(str(Path(path).rename(tmp_path / "a.png")))
