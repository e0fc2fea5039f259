"""The embedded demo set: patches of the MNI152 brain in `nilearn`, labeled by tissue.

Each image is 32 × 32 mm of an axial T1 slice; its class is the tissue at its center: grey matter,
white matter, or other (fluid, vessels and edges within the head). Orientation, exposure and
shading vary as between scanners, and some patches have their contrast reversed, as T2 images
have: brightness alone predicts little, the folds around the center more
(`tests/benchmarks/demo_baseline.py` measures how much).

Source: Fonov et al., "Unbiased average age-appropriate atlases for pediatric studies", 2011,
https://doi.org/10.1016/j.neuroimage.2010.07.033.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.data.arrays import Arrays, ArraySource
from search.data.settings import DEMO
from search.data.source_api import SPLITS
from search.errors import DataError

CLASSES = ("grey matter", "other", "white matter")
PATCH_SIZE = 32
DEMO_SEED = 152
DEMO_VERSION = 1
"""Raised whenever the patches change, so that cached sets are made again."""
N_PER_CLASS = {"train": 630, "val": 135, "test": 135}
SLABS = {
    "train": tuple((start, start + 9) for start in range(12, 149, 18)),
    "val": tuple((start, start + 3) for start in range(24, 149, 36)),
    "test": tuple((start, start + 3) for start in range(42, 149, 36)),
}
"""Axial slices of each split, ends excluded: the slabs are 3 mm apart and share no voxel."""
MIN_TISSUE_PROBABILITY = 204
"""Voxels of a higher probability, of 255, count as a tissue: 0.8."""
INVERTED_SHARE = 0.3
"""Share of patches with inverted contrast; with 0, the center's brightness gave 91 % away."""
SHADING = 0.1
GAMMA = 0.25
GAIN = (0.6, 1.0)
OFFSET = (0.0, 0.15)
NOISE = 0.02
Volume = NDArray[np.uint8]


def open_demo() -> ArraySource:
    """Open the demo set: 2,700 patches, balanced, always the same."""
    identity = f"{DEMO_VERSION} nilearn {version('nilearn')}"
    return ArraySource(DEMO, identity, make_demo)


def make_demo() -> Arrays:
    """Cut the patches out of the brain, in about a second."""
    parts = {}
    for split in SPLITS:
        centers, labels = demo_centers(split)
        parts[split] = (_patches(centers, split), labels)
    return Arrays(CLASSES, parts)


def demo_centers(split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the centers of a split's patches as voxel positions `(n, 3)`, and their labels."""
    rng = np.random.default_rng([DEMO_SEED, SPLITS.index(split), 0])
    centers = []
    for tissue in tissue_masks():
        candidates = np.argwhere(tissue & _valid_centers(tissue.shape, SLABS[split]))
        chosen = rng.choice(len(candidates), N_PER_CLASS[split], replace=False)
        centers.append(candidates[np.sort(chosen)])
    labels = np.repeat(np.arange(len(CLASSES)), N_PER_CLASS[split])
    order = rng.permutation(len(labels))
    return np.concatenate(centers)[order], labels[order]


def tissue_masks() -> tuple[NDArray[np.bool_], ...]:
    """Return the voxels that surely belong to each class, in the order of `CLASSES`."""
    t1, grey, white = volumes()
    other = (
        (grey < 255 - MIN_TISSUE_PROBABILITY) & (white < 255 - MIN_TISSUE_PROBABILITY) & (t1 > 0)
    )
    return grey > MIN_TISSUE_PROBABILITY, other, white > MIN_TISSUE_PROBABILITY


@lru_cache(maxsize=1)
def volumes() -> tuple[Volume, Volume, Volume]:
    """Load T1 image, grey- and white-matter probabilities, uint8 `(197, 233, 189)` at 1 mm."""
    import nibabel

    found = find_spec("nilearn")
    if found is None or found.origin is None:
        raise DataError("The demo set needs the package nilearn: install convsearch again.")
    folder = Path(found.origin).parent / "datasets" / "data"
    names = [
        f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz" for kind in ("t1", "gm", "wm")
    ]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"The installed nilearn {version('nilearn')} does not carry the brain of the demo set:"
            f" expected {missing[0]} in {folder}. Install nilearn 0.14."
        )
    t1, grey, white = (
        np.asarray(nibabel.Nifti1Image.from_filename(folder / name).dataobj) for name in names
    )
    return t1, grey, white


def _valid_centers(shape: tuple[int, ...], slabs: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Return the voxels of the slabs around which a whole patch fits into the volume."""
    reachable = np.zeros(shape, bool)
    half = PATCH_SIZE // 2
    for first, end in slabs:
        reachable[half:-half, half:-half, first:end] = True
    return reachable


def _patches(centers: NDArray[np.int64], split: str) -> NDArray[np.uint8]:
    rng = np.random.default_rng([DEMO_SEED, SPLITS.index(split), 1])
    t1 = volumes()[0]
    half = PATCH_SIZE // 2
    patches = np.empty((len(centers), PATCH_SIZE, PATCH_SIZE), np.uint8)
    for target, (x, y, z) in zip(patches, centers, strict=True):
        target[:] = _simulate_scanner(t1[x - half : x + half, y - half : y + half, z], rng)
    return patches


def _simulate_scanner(patch: Volume, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Rotate and mirror a patch at random, and vary its exposure, shading and noise."""
    pixels = np.rot90(patch, int(rng.integers(4))).astype(np.float64) / 255
    if rng.random() < 0.5:
        pixels = pixels[::-1]
    slope = rng.uniform(-SHADING, SHADING, 2)
    ramp = np.linspace(-1, 1, PATCH_SIZE)
    shading = 1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :]
    pixels = pixels ** np.exp(rng.uniform(-GAMMA, GAMMA)) * shading
    if rng.random() < INVERTED_SHARE:
        pixels = 1 - pixels
    pixels = rng.uniform(*GAIN) * pixels + rng.uniform(*OFFSET)
    pixels = pixels + rng.normal(0, NOISE, pixels.shape)
    levels: NDArray[np.float64] = np.clip(np.rint(pixels * 255), 0, 255)
    return levels.astype(np.uint8)
