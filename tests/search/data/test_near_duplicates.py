"""Near duplicates: copies that were planted are found, and different images are not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, inspect_source
from search.data.near_duplicates import SIDE, find_twins
from search.data.pixels import inspect_pixels
from search.errors import DataError
from tests.search.data.conftest import SHARED

Change = Callable[[np.ndarray], np.ndarray]


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    size = [round(factor * side) for side in image.shape[::-1]]
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def recompressed(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def brightened(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    return np.clip(image * gain + offset, 0, 255).astype(np.uint8)


N_REAL, MIN_FOUND = 100, 0.95
CHANGES: dict[str, Change] = {
    "mirrored": lambda it: it[:, ::-1],
    "turned": np.rot90,
    "turned and mirrored": lambda it: np.rot90(it, 3)[:, ::-1],
    "half as large": lambda it: resized(it, 0.5),
    "twice as large": lambda it: resized(it, 2),
    "a little larger": lambda it: resized(it, 1.3),
    "JPEG 60": lambda it: recompressed(it, 60),
    "JPEG 30": lambda it: recompressed(it, 30),
    "darker": lambda it: brightened(it, 0.8, 10),
    "brighter": lambda it: brightened(it, 1.2, 15),
    "16 bits": lambda it: it.astype(np.uint16) * 100 + 500,
}


def draw_textures(n: int, seed: int = 0) -> list[np.ndarray]:
    """Draw smooth textures of 48 × 60 pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 8, 10), dtype=np.uint8)
    return [np.asarray(Image.fromarray(it).resize((60, 48), 3)) // 2 + 60 for it in coarse]


def thumbnails_of(images: list[np.ndarray]) -> np.ndarray:
    content = b"".join(inspect_pixels(np.ascontiguousarray(it)).thumbnail for it in images)
    return np.frombuffer(content, np.uint8).reshape(-1, SIDE, SIDE)


@pytest.fixture(autouse=True)
def _few_images_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.data.near_duplicates.FEW", 0)


def test_few_images_are_compared_in_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    images = draw_textures(30)
    thumbnails = thumbnails_of([*images, *(it[::-1] for it in images)])
    expected = find_twins(thumbnails)
    monkeypatch.setattr("search.data.near_duplicates.FEW", 60)
    assert find_twins(thumbnails) == expected
    assert len(expected) == 30


@pytest.mark.parametrize("name", CHANGES)
def test_planted_copies_are_found_and_nothing_else(name: str) -> None:
    images = draw_textures(80)
    copies = [CHANGES[name](it) for it in images[:20]]
    found = find_twins(thumbnails_of([*images, *copies]))
    assert {(it.first, it.second) for it in found} == {(i, 80 + i) for i in range(20)}


@pytest.mark.parametrize("name", ["brainmri_64", "malaria_50"])
def test_copies_planted_in_real_sets_are_found(shared_data: Path, name: str) -> None:
    with np.load(shared_data / f"{name}.npz") as arrays:
        images = list(arrays["train_images"][:: len(arrays["train_images"]) // N_REAL][:N_REAL])
    originals = thumbnails_of(images)
    n_found = {}
    for change, make in CHANGES.items():
        copies = thumbnails_of([make(it) for it in images])
        found = {(it.first, it.second) for it in find_twins(np.concatenate([originals, copies]))}
        n_found[change] = len(found & {(i, N_REAL + i) for i in range(N_REAL)})
    assert sum(n_found.values()) >= MIN_FOUND * N_REAL * len(CHANGES), n_found
    others = [n for change, n in n_found.items() if change != "brighter"]  # It saturates some.
    assert min(others) >= MIN_FOUND * N_REAL, n_found


def test_images_that_show_nothing_are_no_twins() -> None:
    flat = [np.full((20, 20), level, np.uint8) for level in (0, 0, 90, 255)]
    assert find_twins(thumbnails_of(flat)) == []
    assert find_twins(thumbnails_of(flat[:1])) == []
    assert find_twins(np.zeros((0, SIDE, SIDE), np.uint8)) == []


def test_images_that_are_all_alike_are_refused_before_they_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.data.near_duplicates.MAX_PAIRS", 100)
    with pytest.raises(DataError, match="too much alike to look for near duplicates"):
        find_twins(np.repeat(thumbnails_of(draw_textures(1)), 30, axis=0))


def test_pairs_are_found_however_many_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = draw_textures(30)
    thumbnails = thumbnails_of([*images, *images, *images])
    expected = find_twins(thumbnails)
    monkeypatch.setattr("search.data.near_duplicates.PAIRS_AT_ONCE", 4)
    monkeypatch.setattr("search.data.near_duplicates.COMPARED_AT_ONCE", 3)
    assert find_twins(thumbnails) == expected
    assert len(expected) == 90


def test_inspect_names_them_and_says_where_they_are(tmp_path: Path) -> None:
    images = draw_textures(24)
    images[3] = resized(images[0], 0.7)  # In one class and split.
    images[13] = images[2][:, ::-1]  # Of another split.
    images[5] = np.rot90(images[8])  # Of another class.
    images[7] = images[9]  # An exact duplicate is none.
    for number, pixels in enumerate(images):
        split = "train" if number < 12 else "test"
        path = tmp_path / split / "aabb"[number % 4] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    found = inspect_source(DataSettings(source=str(tmp_path)))
    assert {pair[:2] for pair in found.twins} == {
        ("test/a/13.png", "train/b/02.png"),
        ("train/a/00.png", "train/b/03.png"),
        ("train/a/05.png", "train/a/08.png"),
    }
    notes = [it for it in found.warnings if "near duplicates" in it]
    assert notes == [
        "near duplicates (mirrored, turned, rescaled, recompressed or brightened): 2 pairs, such"
        " as train/a/00.png and train/b/03.png, each kept in one split",
        "near duplicates with different classes: 2 pairs, such as test/a/13.png and"
        " train/b/02.png: check the labels",
        "near duplicates in different splits: 1 pair, test/a/13.png and train/b/02.png: results"
        " are too good",
    ]
    assert found.warnings[-1].startswith("a search would not start: --fix-leaks keeps")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_real_sets_have_the_twins_that_they_have() -> None:
    cells = inspect_source(DataSettings(source=str(SHARED / "malaria_50.npz")))
    assert cells.twins == ()
    slices = inspect_source(DataSettings(source=str(SHARED / "brainmri_64.npz")))
    likely = [pair for pair in slices.twins if pair[2] < 0.998]
    assert 20 < len(likely) < 60
    assert not any("would not start" in it for it in slices.warnings)
    leaky = inspect_source(DataSettings(source=str(SHARED / "brainmri_leaky_64.npz")))
    assert any("would not start: --fix-leaks" in it for it in leaky.warnings)
