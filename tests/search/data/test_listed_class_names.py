"""Names of classes beside an `.npz` whose labels are numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, PreparedSet, prepare
from search.data.listed_class_names import class_names_path, read_class_names
from search.errors import DataError

MakeNpz = Callable[..., Path]
IMAGES = np.random.default_rng(3).integers(0, 256, (40, 9, 8), dtype=np.uint8)
LABELS = np.arange(40) % 2


def make(path: Path, cache_dir: Path) -> PreparedSet:
    return prepare(DataSettings(source=str(path), image_size=8), cache_dir)


def test_names_beside_the_file_name_its_classes(make_npz: MakeNpz, cache_dir: Path) -> None:
    path = make_npz(images=IMAGES, labels=LABELS)
    before = make(path, cache_dir)
    class_names_path(path).write_text("normal\nsick or worse\n")
    after = make(path, cache_dir)
    assert before.classes == ("0", "1")
    assert after.classes == ("normal", "sick or worse")
    np.testing.assert_array_equal(after.images("val"), before.images("val"))


def test_labels_that_do_not_occur_give_no_class(make_npz: MakeNpz, cache_dir: Path) -> None:
    path = make_npz(images=IMAGES, labels=LABELS * 2)
    class_names_path(path).write_text("a\r\nb\r\nc\r\nd")
    assert make(path, cache_dir).classes == ("a", "c")


def test_set_without_names_is_found_in_the_cache_of_before(
    make_npz: MakeNpz, cache_dir: Path
) -> None:
    path = make_npz(images=IMAGES, labels=LABELS)
    before = make(path, cache_dir).path
    class_names_path(path).write_text("normal\nsick\n")
    assert make(path, cache_dir).path != before
    class_names_path(path).unlink()
    assert make(path, cache_dir).path == before


@pytest.mark.parametrize(
    ("labels", "received"),
    [(LABELS + 1, "2"), (LABELS - 1, "-1"), (np.array(["a", "b"])[LABELS], "'a'")],
)
def test_labels_without_a_name_are_refused(
    make_npz: MakeNpz, cache_dir: Path, labels: np.ndarray, received: str
) -> None:
    path = make_npz(images=IMAGES, labels=labels)
    class_names_path(path).write_text("normal\nsick\n")
    expected = rf"labels from 0 to 1 in .*\.classes\.txt names these\. Received: {received}"
    with pytest.raises(DataError, match=expected):
        make(path, cache_dir)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names of 1 to 200 characters"),
        ("a\u2028b".encode(), "names of 1 to 200 characters"),
        (b"a\n" * 10_001, "at most 10,000 lines"),
        (b"x" * (4 * 2**20 + 1), "at most 10,000 lines"),
        (b"a\n\nb\n", "names of 1 to 200 characters .*Received: ''"),
        (b"a\n" + b"b" * 201, "names of 1 to 200 characters"),
        (b"a\n\x1b[31mb\n", "names of 1 to 200 characters"),
        (b"a\nb\na\n", "different names .*Received: 'a' twice"),
        (b"\xff\xfe", "text in UTF-8"),
    ],
)
def test_other_texts_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "set.npz"
    class_names_path(path).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_class_names(path)


def test_names_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    class_names_path(path).mkdir()
    with pytest.raises(DataError, match=r"Cannot read .*set\.classes\.txt"):
        read_class_names(path)
