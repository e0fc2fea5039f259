"""Shortcuts: facts about files that tell the classes are said, and others are not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, inspect_source, prepare
from search.data.prepared_file import Split
from search.data.shortcuts import intensity_baseline
from tests.search.data.conftest import SHARED

Sizes = list[tuple[int, int]]


def write_set(folder: Path, *, sizes: tuple[Sizes, Sizes], endings: tuple[str, str]) -> str:
    """Write 20 images of noise of each class, their sizes in turn."""
    rng = np.random.default_rng(0)
    for name, its_sizes, ending in zip("ab", sizes, endings, strict=True):
        for i in range(20):
            width, height = its_sizes[i % len(its_sizes)]
            path = folder / name / f"{i}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (height, width), "uint8")).save(path)
    return str(folder)


def told_by(source: str) -> list[str]:
    warnings = inspect_source(DataSettings(source=source)).warnings
    return [it for it in warnings if "tells the class" in it]


SQUARE = [(40, 40)]
MIXED = [(40, 40), (60, 40), (90, 80)]
SPREAD = [(200 + i, 300 - i) for i in range(20)]
"""No two of one size."""


@pytest.mark.parametrize(
    ("sizes", "endings", "expected"),
    [
        ((SQUARE, SQUARE), ("png", "png"), []),
        ((MIXED, MIXED[::-1]), ("png", "png"), []),
        ((SPREAD, SPREAD), ("png", "png"), []),
        ((SQUARE, MIXED[1:]), ("png", "png"), ["the size tells the class of 100%"]),
        ((SPREAD, [(2 * w, 2 * h) for w, h in SPREAD]), ("png", "png"), ["the size tells the"]),
        ((SQUARE, SQUARE), ("png", "bmp"), ["the type of the file tells the class of 100%"]),
        ((SQUARE, SQUARE), ("png", "PNG"), []),
    ],
    ids=["equal", "mixed", "all differ", "own sizes", "larger", "file type", "case"],
)
def test_facts_that_tell_the_class_are_said(
    tmp_path: Path, sizes: tuple[Sizes, Sizes], endings: tuple[str, str], expected: list[str]
) -> None:
    found = told_by(write_set(tmp_path, sizes=sizes, endings=endings))
    assert len(found) == len(expected)
    assert all(it.startswith(start) for it, start in zip(found, expected, strict=True))


def make_split(n: int, seed: int, gain: float, spread: float, side: int = 12) -> Split:
    """Return images of two classes whose means differ by a gain, and whose contrast may."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    noise = rng.normal(0, 1, (n, side, side, 1)) * (20 + spread * labels)[:, None, None, None]
    values = 100 + gain * labels[:, None, None, None] + noise
    return Split(np.clip(values, 0, 255).astype(np.uint8), labels)


@pytest.mark.parametrize(
    ("gain", "spread", "low", "high"), [(0, 0, 0.3, 0.7), (30, 0, 0.97, 1), (0, 15, 0.97, 1)]
)
def test_baseline_sees_brightness_and_contrast(
    gain: float, spread: float, low: float, high: float
) -> None:
    train, val = make_split(200, 0, gain, spread), make_split(100, 1, gain, spread)
    assert low <= intensity_baseline(train, val) <= high


def test_baseline_does_not_see_where_something_is() -> None:
    train, val = make_split(200, 0, 0, 0), make_split(100, 1, 0, 0)
    for split in (train, val):
        ramp = np.linspace(0, 60, 12).astype(np.uint8)
        split.images[split.labels == 0] += ramp[:, None, None]
        split.images[split.labels == 1] += ramp[None, :, None]
    assert 0.3 <= intensity_baseline(train, val) <= 0.7


def test_baseline_of_very_few_or_equal_images_is_a_number() -> None:
    same = Split(np.full((2, 8, 8, 3), 7, np.uint8), np.array([0, 1]))
    assert intensity_baseline(same, same) == 0.5


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_baseline_of_a_real_set_is_recorded(tmp_path: Path) -> None:
    """Parasites are stained dark: half of the way is by intensities alone."""
    settings = DataSettings(source=str(SHARED / "malaria_50.npz"))
    assert prepare(settings, tmp_path).metadata["baseline"] == pytest.approx(0.848, abs=0.02)
