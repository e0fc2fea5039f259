import re
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from search.data.decode import decode as decode_file
from search.data.decode import decoder_warnings
from search.data.pixel_values import to_uint8
from search.data.read_image import read_image
from search.data.source_api import UnreadableImage
from search.errors import DataError

OWN_REASON = re.compile(
    "the file is (truncated|damaged)$|its JPEG|the size of its JPEG|its [0-9]+ channels|Expected "
    "|not a PNG, JPEG, BMP, TIFF or WebP image that can be read$|its pixels have"
    "|it is stored in a way that is not supported$"
)
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


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("width", [10_000, 20_000])
def test_image_beyond_pillows_own_limit_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, width: int
) -> None:
    """Pillow warns of images of 10,000 × 10,000, refuses larger ones, and says no sides."""
    mode = "L" if suffix == "jpg" else "1"
    path = _save(Image.new(mode, (width, 10_000)), tmp_path / f"bomb.{suffix}")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    message = rf"at most 64 megapixels .* Received: {width:,} × 10,000 in"
    with decoder_warnings(), pytest.raises(DataError, match=message):
        decode(path)


def test_webp_beyond_pillows_own_limit_is_refused_with_its_number_of_pixels(
    tmp_path: Path,
) -> None:
    header = b"VP8X" + struct.pack("<II", 10, 0) + 2 * (16_000 - 1).to_bytes(3, "little")
    path = tmp_path / "bomb.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(header)) + b"WEBP" + header)
    with pytest.raises(DataError, match="Received: 256,000,000 pixels in"):
        decode(str(path))


def reason_of(path: Path, frame: int | None = None) -> str:
    with decoder_warnings():
        found = read_image(str(path), frame)
    assert isinstance(found, UnreadableImage)
    return found.reason


@pytest.mark.parametrize(("n_pages", "reason"), [(1, "it has 1 page"), (3, "it has 3 pages")])
def test_page_that_is_not_there_is_unreadable(tmp_path: Path, n_pages: int, reason: str) -> None:
    pages = [Image.fromarray(RAMP + number) for number in range(n_pages)]
    path = tmp_path / "a.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert reason_of(path, 7) == reason


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "jp2", "jls", "ljpg"])
def test_reasons_are_not_those_of_decoders(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    encoders = {"jp2": "jpeg2k_encode", "jls": "jpegls_encode", "ljpg": "ljpeg_encode"}
    if suffix in encoders:
        path.write_bytes(getattr(imagecodecs, encoders[suffix])(noise))
    else:
        Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    damaged = [whole[: len(whole) * part // 8] for part in range(8)]
    for begin in rng.integers(8, len(whole), 40):
        damaged.append(whole[:begin] + rng.bytes(len(whole) // 20) + whole[begin + 100 :])
    n_unreadable = 0
    for content in damaged:
        path.write_bytes(content)
        with decoder_warnings():
            found = read_image(str(path))
        if isinstance(found, UnreadableImage):
            n_unreadable += 1
            assert OWN_REASON.match(found.reason), found.reason
            assert not found.reason.endswith(".")
    assert n_unreadable > 8


def test_truncated_image_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    Image.fromarray(RAMP).save(path)
    path.write_bytes(path.read_bytes()[:-9])
    assert reason_of(path) == "the file is truncated"


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


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("NDims = x\nDimSize = 2 2 2\nElementType = MET_SHORT\n", "the file is damaged"),
        ("NDims = 3\nDimSize = 2 2 2\n", "its header lacks ElementType"),
    ],
)
def test_damaged_header_of_a_volume_is_described_in_plain_words(
    tmp_path: Path, header: str, reason: str
) -> None:
    path = tmp_path / "a.mha"
    path.write_text(f"ObjectType = Image\n{header}ElementDataFile = LOCAL\n")
    assert reason_of(path) == reason
