"""Large arrays of an `.npz`: unpacked to the disk, with the same images and errors as others."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from search.data import DataSettings, prepare
from search.data.npz import load_npz
from search.errors import DataError

MakeNpz = Callable[..., Path]
LABELS = np.arange(40) % 2
IMAGES = np.random.default_rng(3).integers(0, 256, (40, 9, 8), dtype=np.uint8)
KINDS = {
    "grey": IMAGES,
    "grey with a last axis": IMAGES[..., None],
    "color": np.stack([IMAGES] * 3, axis=-1),
    "deep": IMAGES.astype(np.uint16) * 200,
    "big-endian": IMAGES.astype(">i2"),
    "fractions": IMAGES / np.float32(255),
    "booleans": IMAGES > 127,
}


@pytest.fixture
def unpack_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack arrays of any size to the disk."""
    monkeypatch.setattr("search.data.npy_members.IN_MEMORY_BYTES", 0)


def is_mapped(array: np.ndarray) -> bool:
    """Whether an array, or one that it is a part of, is in a file."""
    base: object = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


@pytest.mark.parametrize("images", KINDS.values(), ids=KINDS)
def test_images_on_the_disk_are_those_in_memory(
    make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch, images: np.ndarray
) -> None:
    path = make_npz(images=images, labels=LABELS)
    expected = load_npz(path).parts[""]
    assert not is_mapped(expected[0])
    monkeypatch.setattr("search.data.npy_members.IN_MEMORY_BYTES", 0)
    found = load_npz(path).parts[""]
    assert is_mapped(found[0])
    assert not is_mapped(found[1])
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[0].dtype == expected[0].dtype


def test_set_on_the_disk_is_prepared_as_one_in_memory(
    make_npz: MakeNpz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DataSettings(source=str(make_npz(images=IMAGES, labels=LABELS)), image_size=8)
    expected = prepare(settings, tmp_path / "first").fingerprint
    monkeypatch.setattr("search.data.npy_members.IN_MEMORY_BYTES", 0)
    assert prepare(settings, tmp_path / "second").fingerprint == expected


@pytest.mark.usefixtures("unpack_all")
def test_nothing_is_left_in_the_cache_folder(make_npz: MakeNpz, cache_folder: Path) -> None:
    load_npz(make_npz(images=IMAGES, labels=LABELS))
    assert list(cache_folder.iterdir()) == []


@pytest.mark.usefixtures("unpack_all")
def test_unpacking_tells_its_progress(make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.data.npy_members.CHUNK_BYTES", 1000)
    monkeypatch.setattr("search.data.npy_members.MB", 1)
    calls: list[tuple[int, int, str]] = []
    path = make_npz(images=IMAGES, labels=LABELS)
    load_npz(path, progress=lambda *call: calls.append(call))
    assert calls[0] == (1000, IMAGES.size, "unpacked megabytes")
    assert calls[-1][:2] == (IMAGES.size, IMAGES.size)


@pytest.mark.usefixtures("unpack_all")
def test_damaged_array_is_an_error(make_npz: MakeNpz) -> None:
    path = make_npz(images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[1000] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read .* as an \.npz"):
        load_npz(path)


@pytest.mark.usefixtures("unpack_all")
def test_large_array_in_fortran_order_is_refused(make_npz: MakeNpz) -> None:
    path = make_npz(images=np.asfortranarray(IMAGES), labels=LABELS)
    with pytest.raises(DataError, match=r"images\.npy in .* is in Fortran order"):
        load_npz(path)


@pytest.mark.usefixtures("unpack_all")
def test_full_disk_is_noticed_before_anything_is_unpacked(
    make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = make_npz(images=IMAGES, labels=LABELS)
    monkeypatch.setattr(os, "posix_fallocate", fail, raising=False)
    with pytest.raises(DataError, match=r"0\.0 GiB are unpacked there\. Cannot write .*No space"):
        load_npz(path)


@pytest.mark.usefixtures("unpack_all")
def test_cache_folder_that_cannot_be_made_is_an_error(
    make_npz: MakeNpz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CONVSEARCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"Cannot write to the cache folder .*CONVSEARCH_CACHE"):
        load_npz(make_npz(images=IMAGES, labels=LABELS))


def test_labels_are_limited_apart_from_the_images(
    make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.npz.MAX_LABEL_BYTES", 500)
    load_npz(make_npz(images=IMAGES, labels=LABELS.astype(np.uint8)))
    with pytest.raises(DataError, match="MiB beside its images: expected at most 0 MiB"):
        load_npz(make_npz(images=IMAGES, labels=LABELS.astype("U30")))
