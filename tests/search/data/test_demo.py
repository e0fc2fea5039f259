from itertools import pairwise

import numpy as np
import pytest

from search.data import DataSettings, PreparedSet, prepare
from search.data.demo import (
    CLASSES,
    N_PER_CLASS,
    PATCH_SIZE,
    SLABS,
    demo_centers,
    make_demo,
    volumes,
)
from search.data.source_api import SPLITS
from search.errors import DataError

GAP = 3


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return prepare(DataSettings(source="demo"), tmp_path_factory.mktemp("cache"))


def _voxels(split: str) -> np.ndarray:
    """Return all voxels that the patches of a split show."""
    seen = np.zeros(volumes()[0].shape, bool)
    half = PATCH_SIZE // 2
    for x, y, z in demo_centers(split)[0]:
        seen[x - half : x + half, y - half : y + half, z] = True
    return seen


def test_no_voxel_is_in_two_splits() -> None:
    seen = [_voxels(split) for split in SPLITS]
    assert not (seen[0] & seen[1]).any()
    assert not (seen[0] & seen[2]).any()
    assert not (seen[1] & seen[2]).any()


def test_slabs_of_different_splits_are_apart() -> None:
    bounds = sorted((first, end, split) for split in SPLITS for first, end in SLABS[split])
    for (_, end, split), (first, _, other) in pairwise(bounds):
        assert split != other
        assert first - end >= GAP


def test_classes_are_balanced_in_every_split(prepared: PreparedSet) -> None:
    assert sum(prepared.counts.values()) == 2700
    assert prepared.classes == CLASSES
    for split, n_images in N_PER_CLASS.items():
        np.testing.assert_array_equal(np.bincount(prepared.labels(split)), [n_images] * 3)


def test_label_is_the_tissue_at_the_center() -> None:
    _, grey, white = volumes()
    centers, labels = demo_centers("val")
    probabilities = np.stack([volume[tuple(centers.T)] for volume in (grey, white)], axis=1)
    assert (probabilities[labels == 0, 0] > 200).all()
    assert (probabilities[labels == 1].max(axis=1) < 55).all()
    assert (probabilities[labels == 2, 1] > 200).all()


def test_patches_are_never_blank(prepared: PreparedSet) -> None:
    for split in SPLITS:
        assert prepared.images(split).std(axis=(1, 2, 3)).min() > 5


def test_demo_is_always_the_same() -> None:
    first, second = make_demo(), make_demo()
    for split in SPLITS:
        np.testing.assert_array_equal(first.parts[split][0], second.parts[split][0])


def test_image_size_and_number_can_be_chosen(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = DataSettings(source="demo", image_size=16, max_images=300)
    small = prepare(settings, tmp_path_factory.mktemp("cache"))
    assert small.image_shape == (16, 16, 1)
    assert small.counts == {"train": 210, "val": 45, "test": 45}


def test_nilearn_without_the_brain_data_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volumes.cache_clear()
    monkeypatch.setattr("search.data.demo.find_spec", lambda name: None)
    with pytest.raises(DataError, match="needs the package nilearn"):
        volumes()
