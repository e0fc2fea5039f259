"""Near duplicates: images that are mirrored, turned, rescaled, recompressed or brightened.

Each image is described by a thumbnail. Two images are twins if their thumbnails, in one of the
eight orientations, correlate almost perfectly. Crops, shifts and small rotations are not found.

The mean of a thumbnail over all orientations does not depend on its orientation, and the means of
two twins are at least as close as the twins are. So a tree of the means finds the few pairs whose
thumbnails have to be compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import DataError
from search.machine.cores import n_cores

SIDE = 16
"""Of a thumbnail: with 32, half of the rescaled copies correlate less than neighboring slices."""
CERTAIN, LIKELY = 0.998, 0.997
"""Correlations from which two images are twins.

Of 300 planted copies of brain MRI slices, mirrored, turned, rescaled by 0.5 to 2, saved as JPEG of
quality 60 or brightened, 95 % reach the first, and with quality 30 the second. No two of 2,800
different blood cells reach 0.995.
"""
MIN_CONTRAST = 2.0
"""Standard deviation of a thumbnail, of 255, below which an image shows nothing to compare."""
N_DIMENSIONS = 16
PAIRS_AT_ONCE = 2**18
COMPARED_AT_ONCE = 2**14
MAX_PAIRS = 3 * 10**7
"""Pairs that are compared at most, in a few minutes."""
MAX_TWINS = 10**6
"""Pairs that are found at most: about 200 MB."""

Thumbnails = NDArray[np.uint8]
"""Shape `(n, SIDE, SIDE)`."""
FEW = 256
"""Images of which all pairs are compared, sooner than those that are near are found."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Twins:
    """Two images, by their positions, and the correlation of their thumbnails."""

    first: int
    second: int
    correlation: float

    @property
    def is_certain(self) -> bool:
        """Whether they are surely the same picture."""
        return self.correlation >= CERTAIN


def find_twins(thumbnails: Thumbnails) -> list[Twins]:
    """Return all pairs of twins, the first position below the second.

    Raises:
        DataError: If the images are too much alike to compare all that may be twins.
    """
    if len(thumbnails) < 2:
        return []
    levels = thumbnails.astype(np.float32).reshape(len(thumbnails), -1)
    shown = np.flatnonzero(levels.std(axis=1) >= MIN_CONTRAST)
    if len(shown) < 2:
        return []
    units = levels[shown]
    del levels  # A hundred thousand images take 100 MB in each form.
    units -= units.mean(axis=1, keepdims=True)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    orientations = list(_orientations())
    means = np.zeros_like(units)
    for places in orientations:
        means += units.take(places, axis=1)
    means /= len(orientations)
    found: list[Twins] = []
    for near in _neighbors(means):
        for first, second, correlation in _compare(units, orientations, near):
            found.append(Twins(int(shown[first]), int(shown[second]), correlation))
        if len(found) > MAX_TWINS:
            raise DataError(
                f"The images are too much alike to list near duplicates: over {MAX_TWINS:,} pairs."
            )
    return sorted(found, key=lambda twins: (twins.first, twins.second))


def _orientations() -> Iterator[NDArray[np.int64]]:
    """Yield the order in which each orientation has the pixels of a thumbnail."""
    places = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    for n_turns in range(4):
        turned = np.rot90(places, n_turns)
        yield from (turned.ravel(), turned[:, ::-1].ravel())


def _neighbors(means: Floats) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of images, `(n, 2)`, whose means are as close as those of twins."""
    if len(means) <= FEW:
        yield np.column_stack(np.triu_indices(len(means), 1))
        return
    from scipy.spatial import cKDTree

    centered = means - means.mean(axis=0)
    _, axes = np.linalg.eigh(centered.T @ centered)
    points = centered @ axes[:, -N_DIMENSIONS:]
    radius = float(np.sqrt(2 * (1 - LIKELY)))
    tree, workers = cKDTree(points), n_cores()
    sizes = np.cumsum(tree.query_ball_point(points, radius, return_length=True, workers=workers))
    if sizes[-1] > MAX_PAIRS:
        raise DataError(
            f"The images are too much alike to look for near duplicates: {sizes[-1]:,} pairs."
        )
    start = 0
    while start < len(points):
        before = sizes[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(sizes, before + PAIRS_AT_ONCE)))
        rows = tree.query_ball_point(points[start:end], radius, workers=workers)
        pairs = [
            (first, second)
            for first, others in enumerate(rows, start)
            for second in others
            if first < second
        ]
        if pairs:
            yield np.array(pairs, np.int64)
        start = end


def _compare(
    units: Floats, orientations: Sequence[NDArray[np.int64]], pairs: NDArray[np.int64]
) -> Iterator[tuple[int, int, float]]:
    for start in range(0, len(pairs), COMPARED_AT_ONCE):
        first, second = pairs[start : start + COMPARED_AT_ONCE].T
        best = np.full(len(first), -1.0, np.float32)
        these, others = units[first], units[second]
        for places in orientations:
            np.maximum(best, np.einsum("ij,ij->i", these, others.take(places, axis=1)), out=best)
        for place in np.flatnonzero(best >= LIKELY):
            yield int(first[place]), int(second[place]), float(best[place])
