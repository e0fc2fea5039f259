"""What the page of a source shows of the pixels: pictures, histograms, and the baseline.

Each image is read once more, whatever it is needed for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.data import ExaminedSource
from search.data.shortcuts import baseline_of, evenly, intensity_statistics
from search.reports.source_choice import SIDE, draw_images

N_BINS = 64
MAX_OF_CLASS, MAX_IN_HISTOGRAMS = 200, 4_000
"""Images of a class, and of all, whose histograms are computed."""


class Measured(NamedTuple):
    """What is kept of an image: a tuple, since processes exchange thousands of them.

    Attributes:
        picture: As networks see it, `SIDE` pixels a side; None unless it is shown.
        histogram: Shares of pixels in equal parts of 0 to 255, in grey; None unless it is used.
        statistics: Of its intensities, for the baseline; None unless they are used.
    """

    picture: NDArray[np.uint8] | None
    histogram: NDArray[np.float64] | None
    statistics: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class SourcePixels:
    """Pictures by position in the items, mean histograms by label, and the baseline."""

    pictures: dict[int, NDArray[np.uint8]]
    histograms: dict[int, NDArray[np.float64]]
    n_in_histogram: int
    baseline: float


def measure_pixels(found: ExaminedSource, pictured: Iterable[int]) -> SourcePixels:
    """Read the images that the page needs again.

    Raises:
        DataError: If one of them cannot be read any more.
    """
    train, val = (_every(found.selection.splits[split]) for split in ("train", "val"))
    n_of_class = max(1, min(MAX_OF_CLASS, MAX_IN_HISTOGRAMS // len(found.source.classes)))
    counted = set(_choose_counted(found, n_of_class))
    shown, in_baseline = set(pictured), {*train, *val}

    def measure(index: int, levels: NDArray[np.uint8]) -> Measured:
        needs_square = index in counted or index in in_baseline
        square = found.as_network_input(index, levels) if needs_square else levels
        return Measured(
            found.as_network_input(index, levels, SIDE) if index in shown else None,
            _histogram(square) if index in counted else None,
            intensity_statistics(square[None])[0] if index in in_baseline else None,
        )

    indices = sorted(shown | counted | in_baseline)
    measured = dict(
        zip(indices, found.reader.map_levels(measure, indices, found.rule), strict=True)
    )
    pictures = {i: it.picture for i, it in measured.items() if it.picture is not None}
    return SourcePixels(
        pictures, _mean_histograms(found, measured), n_of_class, _baseline(found, measured)
    )


def _every(indices: Sequence[int]) -> list[int]:
    """Return the images of a split from which the baseline is computed."""
    return [indices[it] for it in evenly(len(indices))]


def _choose_counted(found: ExaminedSource, n: int) -> Iterable[int]:
    """Draw training images of each class for the histograms."""
    items, by_label = found.source.items, defaultdict(list)
    for i in found.selection.splits["train"]:
        by_label[items[i].label].append(i)
    rng = np.random.default_rng([found.settings.seed, 3])
    return [i for its in by_label.values() for i in draw_images(its, items, n, rng)]


def _histogram(square: NDArray[np.uint8]) -> NDArray[np.float64]:
    from search.data.pixels import to_grey  # Loads Pillow.

    grey = to_grey(square) if square.shape[-1] == 3 else square
    counts = np.bincount(grey.ravel() // (256 // N_BINS), minlength=N_BINS)
    return counts / grey.size


def _mean_histograms(
    found: ExaminedSource, measured: Mapping[int, Measured]
) -> dict[int, NDArray[np.float64]]:
    of_class = defaultdict(list)
    for i, it in measured.items():
        if it.histogram is not None:
            of_class[found.source.items[i].label].append(it.histogram)
    return {label: np.mean(its, axis=0) for label, its in sorted(of_class.items())}


def _baseline(found: ExaminedSource, measured: Mapping[int, Measured]) -> float:
    def of(split: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        indices = _every(found.selection.splits[split])
        statistics = np.array([measured[i].statistics for i in indices])
        return statistics, np.array([found.source.items[i].label for i in indices])

    return baseline_of(*of("train"), *of("val"))
