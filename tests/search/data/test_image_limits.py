"""Costly image files are refused before they are decoded."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, prepare
from search.data.decode import decode as decode_file
from search.data.decode import decoder_warnings
from search.data.pixel_values import row_strips, to_uint8
from search.data.pixels import drop_equal_channels, has_color
from search.data.read_image import read_image
from search.data.source_api import UnreadableImage
from search.errors import DataError


def decode(path: str) -> np.ndarray:
    return decode_file(path).pixels


def write_tiff(path: Path, tags: dict[int, int], data: bytes) -> str:
    """Write a TIFF of one page with numbers as tags: offsets and counts of bytes, and shorts."""
    kinds = {tag: 4 if tag in (324, 325) else 3 for tag in tags}
    entries = [struct.pack("<HHII", tag, kinds[tag], 1, tags[tag]) for tag in sorted(tags)]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    path.write_bytes(header + b"".join(entries) + bytes(4) + data)
    return str(path)


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))


@pytest.mark.parametrize("size", [(40_000, 1), (1, 40_000)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_image_with_too_long_a_side_is_refused_undecoded(
    tmp_path: Path, request: pytest.FixtureRequest, size: tuple[int, int], suffix: str
) -> None:
    path = tmp_path / f"long.{suffix}"
    Image.new("1" if suffix != "jpg" else "L", size).save(path)
    request.getfixturevalue("undecoded")
    with pytest.raises(DataError, match=r"at most 32,768 pixels a side. Received: .*40,000"):
        decode(str(path))


def test_jpeg_of_the_longest_side_that_jpeg_has_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("L", (16, 16)).save(content, "JPEG")
    at = content.getvalue().index(b"\xff\xc0") + 5
    longest = content.getvalue()[:at] + b"\xff\xff\0\x01" + content.getvalue()[at + 4 :]
    (tmp_path / "a.jpg").write_bytes(longest)
    with pytest.raises(DataError, match="pixels a side"):
        decode(str(tmp_path / "a.jpg"))


def test_tiff_whose_tile_dwarfs_its_image_is_refused(tmp_path: Path) -> None:
    tile = zlib.compress(bytes(4096 * 4096))
    tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: 4096, 323: 4096}
    tags |= {324: 14 + 12 * 10, 325: len(tile)}
    path = write_tiff(tmp_path / "tile.tif", tags, tile)
    with pytest.raises(DataError, match=r"tiles no larger than .* Received: 4,096 × 4,096"):
        decode(path)
    tile = zlib.compress(bytes(256 * 256))
    tags |= {322: 256, 323: 256, 325: len(tile)}
    small = write_tiff(tmp_path / "small.tif", tags, tile)
    assert decode(small).shape == (8, 8)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_many_scans_is_refused(tmp_path: Path, progressive: bool) -> None:
    content = io.BytesIO()
    Image.new("L", (16, 16)).save(content, "JPEG", progressive=progressive)
    whole = content.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    path = tmp_path / "scans.jpg"
    path.write_bytes(whole[:-2] + last * 106 + whole[-2:])
    with pytest.raises(DataError, match=r"at most 100 scans. Received: 1\d\d in"):
        decode(str(path))
    path.write_bytes(whole)
    assert decode(str(path)).shape == (16, 16)


def test_large_run_length_encoded_bmp_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.image_limits.MAX_RLE_BYTES", 1000)
    header = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, 4, 0, 0, 256, 0)
    offset = 14 + len(header) + 1024
    start = b"BM" + struct.pack("<IHHI", offset + 4, 0, 0, offset)
    path = tmp_path / "rle.bmp"
    path.write_bytes(start + header + bytes(1024) + b"\x08\0\0\x01")
    with pytest.raises(DataError, match="run-length encoded BMP files"):
        decode(str(path))
    Image.new("L", (64, 64)).save(path)  # Larger, and not run-length encoded.
    assert decode(str(path)).shape == (64, 64)


def test_strips_of_rows_give_the_pixels_of_a_whole_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 256, (37, 20, 4), dtype=np.uint8)
    Image.fromarray(whole).save(tmp_path / "a.png")
    deep = rng.integers(90, 3000, (37, 20), dtype=np.uint16)
    grey = whole[..., :1].repeat(3, axis=2)
    marked = grey.copy()
    marked[36, 19] = 0, 9, 0
    before = decode(str(tmp_path / "a.png")), to_uint8(deep)
    monkeypatch.setattr("search.data.pixel_values.STRIP_PIXELS", 100)
    assert len(list(row_strips(whole))) == 8
    np.testing.assert_array_equal(decode(str(tmp_path / "a.png")), before[0])
    np.testing.assert_array_equal(to_uint8(deep), before[1])
    assert has_color(marked)
    assert not has_color(grey)
    assert drop_equal_channels(grey).ndim == 2
    assert drop_equal_channels(marked).ndim == 3


@pytest.mark.parametrize("size", [(9000, 8000), (40_000, 1), (20_000, 10_000)])
def test_reason_of_a_file_has_no_advice_and_no_full_stop(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Whoever shows it goes on in its own words: "Remove it, or leave out --strict"."""
    path = tmp_path / "large.png"
    Image.new("1", size).save(path)
    with decoder_warnings():
        found = read_image(str(path))
    assert isinstance(found, UnreadableImage)
    assert found.reason.endswith(f" Received: {size[0]:,} × {size[1]:,}")  # A path is private.
    with pytest.raises(DataError, match=r"large.png. Remove or shrink it.$"):
        decode(str(path))


def test_arrays_have_the_limits_of_files(tmp_path: Path) -> None:
    path = tmp_path / "long.npz"
    np.savez(path, images=np.zeros((6, 2, 40_000), np.uint8), labels=np.arange(6) % 2)
    with pytest.raises(DataError, match=r"pixels a side. Received: 40,000 × 2 in 'images' of"):
        prepare(DataSettings(source=str(path)), tmp_path / "cache")
