"""JPEG 2000, JPEG-LS and lossless JPEG: the pixels that were written, or why there are none."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, prepare
from search.data.deep_color import lay_on_black
from search.data.read_image import read_image
from search.data.source_api import Decoded, UnreadableImage
from search.errors import DataError


def noise(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    high = {"uint8": 256, "uint16": 65536, "int16": 2000}[dtype]
    low = -high if dtype == "int16" else 0
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def jpeg_2000(pixels: np.ndarray, codec: str = "jp2") -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat=codec, reversible=True))


def pixels_of(path: Path, content: bytes) -> Decoded:
    path.write_bytes(content)
    found = read_image(str(path))
    assert isinstance(found, Decoded), found
    return found


@pytest.mark.parametrize("extension", ["jp2", "j2k"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((20, 30), "uint8"),
        ((20, 30), "uint16"),
        ((20, 30), "int16"),
        ((20, 30, 3), "uint8"),
        ((20, 30, 3), "uint16"),
    ],
)
def test_jpeg_2000_keeps_all_bits(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, extension: str
) -> None:
    pixels = noise(shape, dtype)
    found = pixels_of(tmp_path / f"a.{extension}", jpeg_2000(pixels, extension)).pixels
    assert found.dtype == dtype
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize(
    ("name", "encode", "dtype"),
    [
        ("a.jls", imagecodecs.jpegls_encode, "uint16"),
        ("a.ljpg", imagecodecs.ljpeg_encode, "uint16"),
        ("a.jpg", imagecodecs.ljpeg_encode, "uint16"),
        ("a.JPEG", imagecodecs.ljpeg_encode, "uint8"),
    ],
)
def test_lossless_jpeg_is_read(
    tmp_path: Path, name: str, encode: Callable[[np.ndarray], bytes], dtype: str
) -> None:
    pixels = noise((20, 30), dtype)
    assert np.array_equal(pixels_of(tmp_path / name, bytes(encode(pixels))).pixels, pixels)


@pytest.mark.parametrize("n_colors", [1, 3])
def test_transparent_parts_are_black(tmp_path: Path, n_colors: int) -> None:
    pixels = noise((20, 30, n_colors + 1))
    pixels[:10, :, -1] = 255
    pixels[10:, :, -1] = 0
    Image.fromarray(pixels).save(tmp_path / "a.jp2")
    found = pixels_of(tmp_path / "a.jp2", (tmp_path / "a.jp2").read_bytes())
    assert found.is_transparent
    shown = pixels[..., 0] if n_colors == 1 else pixels[..., :3]
    assert np.array_equal(found.pixels[:10], shown[:10])
    assert not found.pixels[10:].any()


def test_alpha_of_few_bits_is_opaque_at_its_own_largest_value() -> None:
    pixels = np.full((4, 4, 2), 4095, np.uint16)
    assert np.array_equal(lay_on_black(pixels, 4095), pixels[..., :1])


def test_size_below_zero_is_damage(tmp_path: Path) -> None:
    content = bytearray(jpeg_2000(noise((20, 30))))
    place = content.index(b"\xff\x4f\xff\x51") + 16
    content[place : place + 4] = (40_000).to_bytes(4)
    (tmp_path / "a.jp2").write_bytes(content)
    found = read_image(str(tmp_path / "a.jp2"))
    assert found == UnreadableImage("the size of its JPEG 2000 is damaged")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jp2", jpeg_2000(noise((20, 30, 4)))),
        ("a.j2k", jpeg_2000(noise((20, 30, 2)), "j2k")),
        ("a.jls", bytes(imagecodecs.jpegls_encode(noise((20, 30, 4))))),
    ],
)
def test_channels_that_nothing_explains_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    found = read_image(str(tmp_path / name))
    assert isinstance(found, UnreadableImage)
    assert re.fullmatch(r"its \d channels are not supported", found.reason)


def test_files_as_others_write_them_are_read(tmp_path: Path) -> None:
    pixels = noise((20, 30))
    good = bytes(imagecodecs.jpegls_encode(pixels))
    comment = b"\xff\xfe\x00\x06pclr"
    assert np.array_equal(pixels_of(tmp_path / "a.jls", good + b"\n").pixels, pixels)
    commented = good[:2] + comment + good[2:]
    assert np.array_equal(pixels_of(tmp_path / "b.jls", commented).pixels, pixels)
    lossless = bytes(imagecodecs.ljpeg_encode(pixels))
    profile = b"\xff\xe2" + (65_000).to_bytes(2) + bytes(64_998)
    with_profile = lossless[:2] + 2 * profile + lossless[2:]
    assert np.array_equal(pixels_of(tmp_path / "a.jpg", with_profile).pixels, pixels)


@pytest.mark.parametrize("name", ["a.jpg", "a.jp2", "a.png"])
def test_missing_file_says_why(tmp_path: Path, name: str) -> None:
    assert read_image(str(tmp_path / name)) == UnreadableImage("No such file or directory")


@pytest.mark.parametrize("name", ["a.jp2", "a.jls", "a.ljpg"])
def test_damaged_files_say_why(tmp_path: Path, name: str) -> None:
    good = {
        "a.jp2": jpeg_2000(noise((64, 64))),
        "a.jls": bytes(imagecodecs.jpegls_encode(noise((64, 64)))),
        "a.ljpg": bytes(imagecodecs.ljpeg_encode(noise((64, 64)))),
    }[name]
    for content in (b"", good[:20], good[:200], b"not an image"):
        (tmp_path / name).write_bytes(content)
        found = read_image(str(tmp_path / name))
        assert isinstance(found, UnreadableImage)
        assert found.reason


def test_size_is_checked_before_decoding(tmp_path: Path) -> None:
    content = bytearray(jpeg_2000(noise((20, 30))))
    place = content.index(b"\xff\x4f\xff\x51") + 8
    content[place : place + 8] = (40_000).to_bytes(4) + (40_000).to_bytes(4)
    (tmp_path / "a.jp2").write_bytes(content)
    found = read_image(str(tmp_path / "a.jp2"))
    assert isinstance(found, UnreadableImage)
    assert re.search(r"at most 64 megapixels .* 40,000 × 40,000", found.reason)


def test_folder_of_jpeg_2000_is_prepared(tmp_path: Path, cache_dir: Path) -> None:
    for i in range(24):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg_2000(noise((12, 12), "uint16", i)))
    data = prepare(DataSettings(source=str(tmp_path / "set"), image_size=12), cache_dir)
    assert sum(data.counts.values()) == 24
    assert data.pixel_range is not None


def test_missing_imagecodecs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jp2").write_bytes(jpeg_2000(noise((20, 30))))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DataError, match=r"needs imagecodecs: pip install 'convsearch\[dicom\]'"):
        read_image(str(tmp_path / "a.jp2"))
