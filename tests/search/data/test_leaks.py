"""Leaks: near duplicates stay in one split, and given splits that divide some are refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, PreparedSet, prepare
from search.data.leaks import describe_twins
from search.data.near_duplicates import Twins
from search.data.source_api import Item
from search.errors import DataError
from tests.search.data.conftest import SHARED
from tests.search.data.test_near_duplicates import CHANGES, draw_textures

N = 40
"""Images of a set: `a00` to `b39`, of which some are copies of others."""


def write(folder: Path, images: Sequence[np.ndarray], places: Sequence[str]) -> str:
    for number, (pixels, place) in enumerate(zip(images, places, strict=True)):
        path = folder / place / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return str(folder)


def given_splits() -> list[str]:
    """Return places of images of two classes, half of them in `train`."""
    splits = ["train"] * (N // 2) + ["val"] * (N // 4) + ["test"] * (N // 4)
    return [f"{split}/{'ab'[i % 2]}" for i, split in enumerate(splits)]


def prepared(source: str, tmp_path: Path, **options: object) -> PreparedSet:
    settings = DataSettings(source=source, image_size=48, **options)
    return prepare(settings, tmp_path / "cache")


def splits_of(pictures: Sequence[np.ndarray], found: PreparedSet) -> list[list[str]]:
    """Return the splits in which each picture is; pictures differ in their mean."""
    means = {
        split: found.images(split).reshape(len(found.labels(split)), -1).mean(axis=1)
        for split in ("train", "val", "test")
    }
    return [
        [split for split, its in means.items() for _ in its[np.abs(its - picture.mean()) < 1e-6]]
        for picture in pictures
    ]


def test_given_splits_that_leak_are_refused_with_a_list(tmp_path: Path) -> None:
    images = draw_textures(N)
    for copy, original in zip(range(30, 37), range(7), strict=True):
        images[copy] = list(CHANGES.values())[copy % 3](images[original])
    source = write(tmp_path / "set", images, given_splits())
    with pytest.raises(DataError) as caught:
        prepared(source, tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("in different splits, 7 pairs:")
    assert lines[1] == "  test/a/030.png (test) and train/a/000.png (train)"
    assert lines[6] == "  and 2 more"
    assert "--fix-leaks" in lines[7]
    assert "--allow-leaks" in lines[7]
    assert not list((tmp_path / "cache").glob("*.safetensors"))


def test_fixed_leaks_are_taken_out_of_training_and_allowed_ones_are_counted(
    tmp_path: Path,
) -> None:
    images = draw_textures(N)
    images[0] = np.rot90(images[30])  # In training, its twin in test.
    images[2] = images[22][::-1]  # In training, its twin in validation.
    images[24] = images[32][:, ::-1]  # In validation, its twin in test.
    images[4] = images[32][::-1]  # In training, with twins in both.
    source = write(tmp_path / "set", images, given_splits())
    fixed = prepared(source, tmp_path, fix_leaks=True)
    assert fixed.counts == {"train": N // 2 - 3, "val": N // 4 - 1, "test": N // 4}
    assert sorted(fixed.metadata["duplicates"]) == [
        ["train/a/000.png", "test/a/030.png"],
        ["train/a/002.png", "val/a/022.png"],
        ["train/a/004.png", "test/a/032.png"],
        ["val/a/024.png", "test/a/032.png"],
    ]
    assert fixed.metadata["n_leaks"] == 0
    assert fixed.metadata["warnings"][0].startswith("4 images were left out by --fix-leaks")
    allowed = prepared(source, tmp_path, allow_leaks=True)
    assert allowed.counts == {"train": N // 2, "val": N // 4, "test": N // 4}
    assert allowed.metadata["n_leaks"] == 5
    assert any("results are too good" in it for it in allowed.metadata["warnings"])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("copy_label", [0, 1], ids=["same class", "other class"])
def test_near_duplicates_stay_in_one_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, copy_label: int
) -> None:
    """Ten pairs of sixty images: a split that does not know of them divides some."""
    images = [image[:, :48] for image in draw_textures(50)]
    images += [image[:, ::-1] for image in images[0:20:2]]
    labels = [i % 2 for i in range(50)] + [copy_label] * 10
    source = write(tmp_path / "set", images, ["ab"[label] for label in labels])
    found = prepared(source, tmp_path, seed=seed)
    places = splits_of(images[0:20:2], found)
    assert all(len(its) == 2 for its in places)
    assert all(one == other for one, other in places)
    assert found.metadata["n_leaks"] == 0
    monkeypatch.setattr("search.data.selection.twins_among", lambda *_: [])
    found = prepared(source, tmp_path / "unguarded", seed=seed)
    places = splits_of(images[0:20:2], found)
    assert any(one != other for one, other in places)


def test_long_chain_of_near_duplicates_asks(tmp_path: Path) -> None:
    images = draw_textures(60)
    for i in range(0, 24, 2):
        images[i] = np.clip(images[0] * (0.9 + 0.01 * i) + i, 0, 255).astype(np.uint8)
    source = write(tmp_path / "set", images, ["ab"[i % 2] for i in range(60)])
    with pytest.raises(
        DataError, match=r"^12 images are near duplicates of one another .*more tha"
    ):
        prepared(source, tmp_path)
    kept = prepared(source, tmp_path, fix_leaks=True)
    assert kept.metadata["n_leaks"] == 0
    assert kept.counts["train"] > 30
    assert prepared(source, tmp_path, allow_leaks=True).metadata["n_leaks"] > 0


def test_allowed_chain_does_not_divide_other_twins(tmp_path: Path) -> None:
    images = [image[:, :48] for image in draw_textures(60)]
    for i in range(0, 24, 2):
        images[i] = np.clip(images[0] * (0.9 + 0.01 * i) + i, 0, 255).astype(np.uint8)
    images += [image[:, ::-1] for image in images[30:50]]
    source = write(tmp_path / "set", images, ["ab"[i % 2] for i in range(len(images))])
    found = prepared(source, tmp_path, allow_leaks=True)
    places = splits_of(images[30:50], found)
    assert all(one == other for one, other in places)


def test_twins_of_everything_in_training_are_an_error_of_ours(tmp_path: Path) -> None:
    images = draw_textures(20)
    images += [image[:, ::-1] for image in images]
    places = [f"test/{'ab'[i % 2]}" for i in range(20)] + [
        f"train/{'ab'[i % 2]}" for i in range(20)
    ]
    images.append(images[0][::-1])
    source = write(tmp_path / "set", images, [*places, "train/b"])
    with pytest.raises(DataError, match="of class 'a' in 'train'"):
        prepared(source, tmp_path, fix_leaks=True)


def test_class_of_near_duplicates_alone_is_refused_as_such(tmp_path: Path) -> None:
    images = draw_textures(12)
    for i in range(2, 10, 2):
        images[i] = np.clip(images[0] * (0.9 + 0.01 * i) + i, 0, 255).astype(np.uint8)
    images[10] = images[0][::-1]
    source = write(tmp_path / "set", images, ["ab"[i % 2] for i in range(12)])
    with pytest.raises(DataError, match=r"its 6 images are of 1 group, .* near duplicates\."):
        prepared(source, tmp_path)


def test_few_images_with_copies_can_be_split(tmp_path: Path) -> None:
    images = draw_textures(8)
    images += [image[:, ::-1] for image in images]
    source = write(tmp_path / "set", images, ["ab"[i % 2] for i in range(16)])
    found = prepared(source, tmp_path)
    assert all(n >= 2 for n in found.counts.values())
    assert found.metadata["n_leaks"] == 0


def test_chain_within_a_patient_is_no_question(tmp_path: Path) -> None:
    images = draw_textures(60)
    for i in range(0, 24, 2):
        images[i] = np.clip(images[0] * (0.9 + 0.01 * i) + i, 0, 255).astype(np.uint8)
    patients = ["p0" if i < 24 and not i % 2 else f"p{i}" for i in range(60)]
    places = [f"{'ab'[i % 2]}/{patients[i]}" for i in range(60)]
    source = write(tmp_path / "set", images, places)
    found = prepared(source, tmp_path, group_from="^[ab]/([^/]+)/")
    assert found.metadata["n_leaks"] == 0


def test_dark_copies_are_found(tmp_path: Path) -> None:
    images = [(image // 50).astype(np.uint8) for image in draw_textures(40)]
    images[30:40] = [image[:, ::-1] for image in images[:10]]
    source = write(tmp_path / "set", images, given_splits())
    with pytest.raises(DataError, match="in different splits, 10 pairs"):
        prepared(source, tmp_path)


def test_images_that_show_nothing_are_counted(tmp_path: Path) -> None:
    images = draw_textures(40)
    for i in range(10):
        images[i] = np.zeros((48, 48), np.uint8)
        images[i][i, 0] = 200
    source = write(tmp_path / "set", images, ["ab"[i % 2] for i in range(40)])
    warnings = prepared(source, tmp_path).metadata["warnings"]
    assert any("10 of 40 images show too little" in it for it in warnings)


def test_very_many_pairs_are_described_at_once() -> None:
    """A filter of lists by lists took longer than a test may."""
    twins = [Twins(i, i + 1, 0.999 if i % 2 else 0.9975) for i in range(40_000)]
    items = [Item(str(i), 0) for i in range(40_001)]
    splits = {"train": [*range(0, 40_001, 3)], "val": [*range(1, 40_001, 3)], "test": []}
    assert len(list(describe_twins(twins, splits, items))) == 2


def test_leaks_cannot_be_allowed_and_fixed() -> None:
    with pytest.raises(ValueError, match="`allow_leaks` or `fix_leaks`, not both"):
        DataSettings(source="x", allow_leaks=True, fix_leaks=True)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_real_sets_are_used_or_refused_as_they_should(tmp_path: Path) -> None:
    """One has slices of one patient in all splits; the splits of the others are clean."""
    with pytest.raises(DataError, match=r"in different splits, 900 pairs:"):
        prepared(str(SHARED / "brainmri_leaky_64.npz"), tmp_path)
    for name in ("brainmri_64", "malaria_50"):
        assert prepared(str(SHARED / f"{name}.npz"), tmp_path).metadata["n_leaks"] == 0
