import gc
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from search.data import DataSettings, PreparedSet, prepare
from search.data.cache import remove_unused
from search.errors import DataError


@pytest.fixture
def prepared(make_folder: Callable[..., Path], cache_dir: Path) -> PreparedSet:
    return prepare(
        DataSettings(source=str(make_folder({"a": 10, "b": 12})), image_size=8), cache_dir
    )


def test_set_is_mapped_read_only(prepared: PreparedSet) -> None:
    images, labels = prepared.images("train"), prepared.labels("train")
    assert isinstance(images, np.memmap)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert images.shape == (len(labels), *prepared.image_shape)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_set_that_is_open_stays_in_the_cache(prepared: PreparedSet, tmp_path: Path) -> None:
    path = tmp_path / "set"
    path.write_bytes(prepared.path.read_bytes())
    images = PreparedSet.open(path).images("train")
    assert not remove_unused(path)  # An array keeps the file open.
    del images
    holder = "import sys; from search.data import PreparedSet; s = PreparedSet.open(sys.argv[1])"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{holder}; print(flush=True); input()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    assert not remove_unused(path)
    process.communicate(b"\n")
    assert remove_unused(path)
    assert not path.exists()
    assert remove_unused(path)


def test_opening_sets_leaves_no_descriptor_behind(prepared: PreparedSet) -> None:
    def n_open() -> int:
        gc.collect()
        return len(list(Path("/dev/fd").iterdir()))

    before = n_open()
    for _ in range(3):
        PreparedSet.open(prepared.path).verify()
    (prepared.path.parent / "damaged").write_bytes(prepared.path.read_bytes()[:-1])
    with pytest.raises(DataError):
        PreparedSet.open(prepared.path.parent / "damaged")
    assert n_open() == before


def test_statistics_are_those_of_the_training_pixels(prepared: PreparedSet) -> None:
    pixels = np.asarray(prepared.images("train"), np.float64)
    assert prepared.mean == pytest.approx([pixels.mean()])
    assert prepared.std == pytest.approx([pixels.std()])


def test_file_opens_with_safetensors(prepared: PreparedSet) -> None:
    tensors = load_file(prepared.path)
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(tensors[f"{split}_images"], prepared.images(split))
        np.testing.assert_array_equal(tensors[f"{split}_labels"], prepared.labels(split))


def test_fingerprint_does_not_depend_on_the_place(
    make_folder: Callable[..., Path], prepared: PreparedSet, tmp_path: Path
) -> None:
    twin = make_folder({"a": 10, "b": 12}, "moved")
    again = prepare(DataSettings(source=str(twin), image_size=8), tmp_path / "other_cache")
    assert again.fingerprint == prepared.fingerprint
    assert len(prepared.fingerprint) == 64


@pytest.mark.parametrize("changes", [{"seed": 1}, {"image_size": 9}, {"max_images": 12}])
def test_fingerprint_follows_the_content(
    prepared: PreparedSet, cache_dir: Path, changes: dict[str, object]
) -> None:
    settings = DataSettings(**{**prepared.metadata["settings"], **changes})
    assert prepare(settings, cache_dir).fingerprint != prepared.fingerprint


def test_fingerprint_follows_the_class_names(
    prepared: PreparedSet, make_folder: Callable[..., Path], cache_dir: Path
) -> None:
    renamed = make_folder({"a": 10, "c": 12}, "renamed")
    other = prepare(DataSettings(source=str(renamed), image_size=8), cache_dir)
    np.testing.assert_array_equal(other.images("train"), prepared.images("train"))
    assert other.fingerprint != prepared.fingerprint


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot read the prepared set .*: No such file"):
        PreparedSet.open(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("n_bytes", [0, 4, 8, 200, -1])
def test_file_cut_short_is_refused(prepared: PreparedSet, n_bytes: int) -> None:
    content = prepared.path.read_bytes()
    prepared.path.write_bytes(content[:n_bytes])
    with pytest.raises(DataError, match=r"Not a prepared set, or a damaged one: .*Delete it"):
        PreparedSet.open(prepared.path)


def test_file_with_something_appended_is_refused(prepared: PreparedSet) -> None:
    prepared.path.write_bytes(prepared.path.read_bytes() + b"more")
    with pytest.raises(DataError, match="its size is not what its header says"):
        PreparedSet.open(prepared.path)


@pytest.mark.parametrize("content", [b"GIF89a" * 50, b"\xff" * 400, b"[]      " * 40])
def test_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="Not a prepared set"):
        PreparedSet.open(path)


def _with_header(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["train_images"].update(dtype="F32"), "F32"),
        (lambda h: h["train_images"]["shape"].__setitem__(0, 10**9), "do not fit"),
        (lambda h: h["train_images"]["shape"].__setitem__(0, -1), "shape"),
        (lambda h: h["train_images"].update(data_offsets=[-800, -8]), "offsets|do not fit"),
        (lambda h: h.pop("val_labels"), "val_labels"),
        (lambda h: h.pop("__metadata__"), "__metadata__"),
        (lambda h: h.update(train_images=[1, 2]), "damaged"),
        (lambda h: h["train_images"].update(data_offsets=[0]), "damaged"),
        (
            lambda h: h["__metadata__"].update(convsearch='{"format_version": 99}'),
            "format version 99, not 1",
        ),
    ],
)
def test_inconsistent_header_is_refused(
    prepared: PreparedSet, change: Callable[[dict[str, object]], None], message: str
) -> None:
    _with_header(prepared.path, change)
    with pytest.raises(DataError, match=message):
        PreparedSet.open(prepared.path)


def test_changed_pixel_is_found_when_verified(prepared: PreparedSet) -> None:
    content = bytearray(prepared.path.read_bytes())
    content[-5] ^= 1
    prepared.path.write_bytes(content)
    with pytest.raises(DataError, match="changed after it was written"):
        PreparedSet.open(prepared.path).verify()
