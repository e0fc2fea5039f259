import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, inspect_source, prepare
from search.data.image_reader import ImageReader
from search.errors import DataError

MakeFolder = Callable[..., Path]


@pytest.fixture
def messy(
    make_folder: MakeFolder,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> Path:
    """Two classes with duplicates, a contradiction, a broken image and another file."""
    root = make_folder({"a": 40, "b": 10})
    (root / "a" / "copy.png").write_bytes((root / "a" / "000.png").read_bytes())
    Image.open(root / "a" / "001.png").save(root / "a" / "copy.bmp")  # Same pixels, other bytes.
    (root / "b" / "wrong.png").write_bytes((root / "a" / "002.png").read_bytes())
    (root / "b" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "b" / "notes.txt").touch()
    write_image(root / "b" / "large.png", noise(500, 30, 20))
    return root


def test_summary_counts_what_a_source_contains(messy: Path) -> None:
    summary = inspect_source(DataSettings(source=str(messy)))
    assert (summary.kind, summary.classes, summary.color) == ("folder", ("a", "b"), "grey")
    assert summary.counts == {"all": {"a": 42, "b": 12}}
    assert summary.balance == pytest.approx(42 / 12)
    assert summary.n_duplicates == 3
    assert summary.conflicts == (("a/002.png", "b/wrong.png"),)
    assert summary.broken.keys() == {"b/torn.png"}
    sizes = summary.sizes
    assert (sizes.min_width, sizes.median_width, sizes.max_width) == (10, 10, 20)
    assert (sizes.min_height, sizes.median_height, sizes.max_height) == (12, 12, 30)


def test_warnings_name_possible_problems(messy: Path) -> None:
    summary = inspect_source(DataSettings(source=str(messy)))
    assert summary.warnings == (
        "1 file that is not an image was ignored",
        "the images have no groups: if several are of one patient, they can be in training and"
        " test, and results are too good (--group-from finds patients in names)",
        "1 image cannot be read and is left out",
        "3 exact duplicates: equal images are kept in one split",
        "left out, the same pixels in different classes: a/002.png, b/wrong.png",
        "the largest class has 3.5 times the images of the smallest",
        "only 8 validation images: accuracies come in steps of 0.12",
    )


@pytest.mark.parametrize("options", [{}, {"max_images": 20}, {"seed": 5, "max_images": 30}])
def test_summary_counts_the_images_that_prepare_uses(
    messy: Path, cache_dir: Path, options: dict[str, int]
) -> None:
    settings = DataSettings(source=str(messy), image_size=8, **options)
    summary, prepared = inspect_source(settings), prepare(settings, cache_dir)
    for split, counts in summary.used.items():
        found = np.bincount(prepared.labels(split), minlength=2)
        assert list(counts.values()) == list(found)
    assert summary.used_channels == prepared.image_shape[2]


def test_summary_becomes_json(messy: Path) -> None:
    summary = inspect_source(DataSettings(source=str(messy)))
    document = json.loads(json.dumps(summary.to_json()))
    assert document["counts"] == {"all": {"a": 42, "b": 12}}
    assert document["conflicts"] == [["a/002.png", "b/wrong.png"]]


def test_nothing_is_written(messy: Path) -> None:
    before = sorted(messy.rglob("*"))
    inspect_source(DataSettings(source=str(messy)))
    assert sorted(messy.rglob("*")) == before


def test_own_splits_are_counted_separately(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 5, "train/b": 6, "test/a": 2, "test/b": 2})
    summary = inspect_source(DataSettings(source=str(root)))
    assert summary.counts == {"train": {"a": 5, "b": 6}, "test": {"a": 2, "b": 2}}
    assert summary.used["test"] == {"a": 2, "b": 2}


def test_class_of_broken_images_only_is_an_error(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 5})
    for i in range(4):
        path = root / "b" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"torn")
    with pytest.raises(
        DataError, match=r"None of the 4 images of class 'b' can be read. b/0.png: not a PNG"
    ):
        inspect_source(DataSettings(source=str(root)))


def test_progress_counts_every_image(messy: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    inspect_source(DataSettings(source=str(messy)), lambda *call: calls.append(call))
    assert calls[-1] == (55, 55, "images")


def test_summary_of_a_prepared_set_needs_no_images(
    messy: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DataSettings(source=str(messy), image_size=8)
    fresh = inspect_source(settings)
    prepare(settings, cache_dir)
    monkeypatch.setattr(ImageReader, "inspect", lambda *_: pytest.fail("images were read"))
    assert inspect_source(settings, cache_dir=cache_dir) == fresh


def test_summary_of_images_beyond_those_of_a_search_is_kept(
    messy: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DataSettings(source=str(messy), image_size=8, max_images=20)
    prepare(settings, cache_dir)
    found = inspect_source(settings, cache_dir=cache_dir)
    assert found == inspect_source(settings)
    monkeypatch.setattr(ImageReader, "inspect", lambda *_: pytest.fail("images were read"))
    assert inspect_source(settings, cache_dir=cache_dir) == found


@pytest.mark.parametrize("change", ["image", "note", "settings", "damage", "nothing there"])
def test_kept_summary_is_not_that_of_another_source(
    messy: Path, cache_dir: Path, change: str
) -> None:
    settings = DataSettings(source=str(messy), image_size=8)
    cache_dir.mkdir()
    inspect_source(settings, cache_dir=cache_dir)
    (kept,) = cache_dir.glob("*.summary.json")
    if change == "image":
        (messy / "a" / "003.png").unlink()
    elif change == "note":
        (messy / "b" / "more.txt").touch()
    elif change == "settings":
        settings = DataSettings(source=str(messy), image_size=8, strict=False, max_images=20)
    elif change == "damage":
        kept.write_text(kept.read_text().replace('"color": "grey"', '"color": 5'))
    else:
        kept.unlink()
    assert inspect_source(settings, cache_dir=cache_dir) == inspect_source(settings)


def test_summary_is_shown_where_it_cannot_be_kept(messy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = DataSettings(source=str(messy), image_size=8)
    for place in ("file", "file/in a file", "missing"):
        assert inspect_source(settings, cache_dir=tmp_path / place) == inspect_source(settings)
    assert not (tmp_path / "missing").exists()  # Its rights are for others to say.


@pytest.mark.parametrize("max_images", [40, 1000])
def test_near_duplicates_of_images_that_are_left_out_are_shown(
    make_folder: MakeFolder, cache_dir: Path, max_images: int
) -> None:
    root = make_folder({"a": 40, "b": 20})
    pixels = np.asarray(Image.open(root / "a" / "000.png"))
    Image.fromarray(pixels // 2 + 60).save(root / "a" / "near.png")
    (root / "b" / "conflict.png").write_bytes((root / "a" / "000.png").read_bytes())
    settings = DataSettings(source=str(root), image_size=8, max_images=max_images)
    prepare(settings, cache_dir)
    pairs = {it[:2] for it in inspect_source(settings, cache_dir=cache_dir).twins}
    assert pairs == {("a/000.png", "a/near.png"), ("a/near.png", "b/conflict.png")}


def test_old_summaries_are_removed(messy: Path, cache_dir: Path) -> None:
    cache_dir.mkdir()
    old, recent = cache_dir / "a.summary.json", cache_dir / "b.summary.json"
    for path in (old, recent):
        path.touch()
    os.utime(old, (0, 0))
    inspect_source(DataSettings(source=str(messy), image_size=8), cache_dir=cache_dir)
    assert not old.exists()
    assert recent.exists()
