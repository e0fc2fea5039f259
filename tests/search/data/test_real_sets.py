"""Preparing and inspecting real image sets; skipped without them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, inspect_source, prepare

ROOT = Path(__file__).resolve().parents[3]


def test_folder_of_jpegs(shared_data: Path, cache_dir: Path) -> None:
    settings = DataSettings(source=str(shared_data / "mednist_mini"), image_size=64)
    prepared = prepare(settings, cache_dir)
    assert len(prepared.classes) == 6
    assert prepared.image_shape == (64, 64, 1)
    assert sum(prepared.counts.values()) == 180
    for split in ("train", "val", "test"):
        assert len(np.unique(np.bincount(prepared.labels(split)))) == 1


@pytest.mark.parametrize(
    ("name", "n_classes", "side"), [("brainmri_64", 4, 64), ("malaria_50", 2, 50)]
)
def test_medmnist_file(
    shared_data: Path, cache_dir: Path, name: str, n_classes: int, side: int
) -> None:
    path = shared_data / f"{name}.npz"
    prepared = prepare(DataSettings(source=str(path), image_size=side), cache_dir)
    assert prepared.n_classes == n_classes
    with np.load(path) as file:
        for split in ("train", "val", "test"):
            originals = {image.tobytes() for image in file[f"{split}_images"]}
            assert {image.tobytes() for image in prepared.images(split)} == originals


def test_summary_of_a_medmnist_file(shared_data: Path) -> None:
    summary = inspect_source(DataSettings(source=str(shared_data / "brainmri_64.npz")))
    assert summary.counts["train"] == dict.fromkeys("0123", 490)
    assert summary.conflicts == ()
    assert summary.n_duplicates == 192


def test_importing_the_package_loads_no_library_for_images() -> None:
    code = (
        "import sys, search.data\n"
        "heavy = {'PIL', 'nibabel', 'nilearn', 'sklearn', 'scipy', 'tensorflow',"
        " 'keras', 'optuna', 'sqlalchemy', 'pandas'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
