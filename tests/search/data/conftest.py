"""Fixtures: small sources of distinct images, and the real sets if a checkout has them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def _noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (12, 10), dtype=np.uint8)


def _write_image(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Random pixels, different for each seed: `noise(seed, *shape)`, 12 × 10 by default."""
    return _noise


@pytest.fixture
def write_image() -> Callable[..., Path]:
    return _write_image


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of distinct grey PNGs: `make_folder({"cat": 4, "train/dog": 5})`."""

    def make(counts: dict[str, int], name: str = "source") -> Path:
        root = tmp_path / name
        root.mkdir()
        seed = 0
        for folder, count in counts.items():
            for i in range(count):
                _write_image(root / folder / f"{i:03}.png", _noise(seed := seed + 1))
        return root

    return make


@pytest.fixture
def make_npz(tmp_path: Path) -> Callable[..., Path]:
    """Write arrays as an `.npz`: `make_npz(images=..., labels=...)`."""

    def make(**arrays: np.ndarray) -> Path:
        path = tmp_path / "source.npz"
        np.savez_compressed(path, **arrays)
        return path

    return make


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"needs the real sets in {SHARED}")
    return SHARED
