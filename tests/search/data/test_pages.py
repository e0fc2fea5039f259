"""TIFF files with several pages: the first, a chosen one, or each as an image of one group."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from search.data import DataSettings, prepare
from search.data.decode import decode
from search.data.open_source import open_source
from search.data.read_image import count_pages, frames_in, read_image
from search.data.source_api import Decoded, UnreadableImage
from search.errors import DataError


def write_pages(path: Path, n_pages: int, seed: int = 0, dtype: str = "uint8") -> np.ndarray:
    """Write a TIFF file of pages of noise, and return them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = np.random.default_rng(seed).integers(0, 255, (n_pages, 9, 8)).astype(dtype)
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(path, save_all=True, append_images=others)
    return pages


def settings_of(folder: Path, **values: Any) -> DataSettings:
    return DataSettings(**{"source": str(folder), "image_size": 8, **values})


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_page_is_that_of_the_file(tmp_path: Path, dtype: str) -> None:
    pages = write_pages(tmp_path / "a.tif", 4, dtype=dtype)
    for number, page in enumerate(pages):
        assert np.array_equal(decode(str(tmp_path / "a.tif"), number).pixels, page)
    assert decode(str(tmp_path / "a.tif")).has_pages
    assert not decode(str(tmp_path / "a.tif"), 0).has_pages
    found = read_image(str(tmp_path / "a.tif"), 4)
    assert isinstance(found, UnreadableImage)
    assert count_pages(str(tmp_path / "a.tif")) == 4


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder of two classes with six files of three pages, and a file of one page."""
    folder = tmp_path / "set"
    for number in range(12):
        write_pages(folder / "ab"[number % 2] / f"{number:02}.tif", 3, number)
    write_pages(folder / "a" / "99.tif", 1, 99)
    return folder


def test_every_page_is_an_image_of_one_group(scans: Path, tmp_path: Path) -> None:
    source = open_source(settings_of(scans, pages="all"))
    assert len(source.items) == 12 * 3 + 1
    assert [it.name for it in source.items[:3]] == [f"a/00.tif#{n}" for n in (1, 2, 3)]
    assert source.items[18].name == "a/99.tif"
    found = source.read(1)
    assert isinstance(found, Decoded)
    assert np.array_equal(found.pixels, write_pages(tmp_path / "x.tif", 3, 0)[1])
    assert "13 TIFF files with 37 pages" in source.warnings
    data = prepare(settings_of(scans, pages="all"), tmp_path / "cache")
    groups = [set(data.groups(split) or ()) for split in data.counts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 13


def test_chosen_page_is_used_where_it_is(scans: Path) -> None:
    source = open_source(settings_of(scans, pages="2"))
    assert [it.name for it in source.items[:2]] == ["a/00.tif#2", "a/02.tif#2"]
    assert len(source.items) == 12
    assert "1 TIFF file left out: it has fewer than 2 pages" in source.warnings


def test_rows_of_a_manifest_become_pages(scans: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("image,label\na/00.tif,x\nb/01.tif,y\n")
    source = open_source(settings_of(table, root=str(scans), pages="all"))
    assert [it.name for it in source.items] == [
        *(f"a/00.tif#{n}" for n in (1, 2, 3)), *(f"b/01.tif#{n}" for n in (1, 2, 3))
    ]  # fmt: skip
    assert len({it.group for it in source.items}) == 2


def test_prediction_takes_the_pages_of_training(tmp_path: Path) -> None:
    write_pages(tmp_path / "a.tif", 3)
    path = str(tmp_path / "a.tif")
    assert list(frames_in(path, "axial", 1, "1")) == [None]
    assert list(frames_in(path, "axial", 1, "3")) == [2]
    assert list(frames_in(path, "axial", 1, "all")) == [0, 1, 2]


def test_damaged_files_count_as_one_page(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0 no picture")
    assert count_pages(str(tmp_path / "a.tif")) == 1
    assert list(frames_in(str(tmp_path / "a.tif"), "axial", 1, "all")) == [None]


@pytest.mark.parametrize("pages", ["0", "first", "-1", "", "10000", "1\n"])
def test_other_values_are_refused(pages: str) -> None:
    with pytest.raises(ValueError, match="pages"):
        settings_of(Path("x"), pages=pages)


def test_pages_have_no_meaning_without_tiff_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "x.png")
    with pytest.raises(DataError, match=r"--pages cannot be used with .*has no TIFF files"):
        open_source(settings_of(tmp_path, pages="all"))


def test_page_that_no_file_has_is_an_error(scans: Path) -> None:
    with pytest.raises(DataError, match=r"No file has a page 9 \(--pages\)"):
        open_source(settings_of(scans, pages="9"))


def test_file_that_would_unpack_to_gigabytes_counts_as_one_page(tmp_path: Path) -> None:
    write_pages(tmp_path / "a.tif", 2)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for tag in (256, 257):
        place = content.index(tag.to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00")
        content[place + 8 : place + 12] = (60_000).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(content)
    assert count_pages(str(tmp_path / "a.tif")) == 1
    found = read_image(str(tmp_path / "a.tif"), 0)
    assert isinstance(found, UnreadableImage)
    assert "megapixels" in found.reason


def test_damaged_page_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_pages(path, 4)
    content = bytearray(path.read_bytes())
    place = 4
    for _ in range(2):
        (header,) = struct.unpack_from("<I", content, place)
        place = header + 2 + 12 * struct.unpack_from("<H", content, header)[0]
    struct.pack_into("<I", content, place, len(content) + 1000)
    path.write_bytes(content)
    assert count_pages(str(path)) == 3
    found = [read_image(str(path), number) for number in range(3)]
    assert [isinstance(it, Decoded) for it in found] == [True, True, False]


def test_page_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(ValidationError, match="Expected a page from 1 to 9999, or 'all'"):
        DataSettings(source="scans", pages="0")
