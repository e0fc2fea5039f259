"""Shortcuts: what tells the class of an image without its content.

A search would learn the scanner instead of the disease. So a warning says which facts about the
files tell the classes, and the accuracy that intensity statistics alone reach is the baseline that
a network has to beat.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from math import log2
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from search.data.prepared_file import Labels, Split
from search.data.selection import Selection
from search.data.source_api import Images, Source

MAX_IMAGES = 5_000
"""Images of a split that are used, evenly spaced over it."""
IMAGES_AT_ONCE = 256
MAX_SIDE = 64
"""Of the grid of pixels that are used of an image."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
N_NEIGHBORS = 9
EPSILON = 1e-6
MIN_EXCESS = 0.5
"""Of what is between chance and certainty, from which a fact tells the class."""

Floats = NDArray[np.float64]


def intensity_baseline(train: Split, val: Split) -> float:
    """Return the validation accuracy that intensity statistics alone reach.

    The features are mean, standard deviation and percentiles of each channel: where something is
    in an image, they do not say. Of two simple classifiers, the better one counts, as of networks.
    """
    chosen, asked = evenly(len(train.labels)), evenly(len(val.labels))
    known, unknown = _statistics(train.images, chosen), _statistics(val.images, asked)
    return baseline_of(known, train.labels[chosen], unknown, val.labels[asked])


def baseline_of(known: Floats, labels: Labels, unknown: Floats, expected: Labels) -> float:
    """Return the baseline by the statistics of training images, and of those of validation."""
    mean, std = known.mean(axis=0), known.std(axis=0) + EPSILON
    known, unknown = (known - mean) / std, (unknown - mean) / std
    found = (_nearest(known, labels, unknown), _quadratic(known, labels, unknown))
    return max(float(np.mean(it == expected)) for it in found)


def _nearest(known: Floats, labels: Labels, unknown: Floats) -> Labels:
    """Return the class of most of the nearest neighbors."""
    from scipy.spatial import cKDTree

    k = min(N_NEIGHBORS, len(known))
    _, nearest = cKDTree(known).query(unknown, k)
    votes = labels[nearest.reshape(len(unknown), k)]
    return np.array([np.bincount(its).argmax() for its in votes])


def _quadratic(known: Floats, labels: Labels, unknown: Floats) -> Labels:
    """Return the class by a ridge regression on the features and their products."""
    first, second = np.triu_indices(known.shape[1])

    def terms(features: Floats) -> Floats:
        products = features[:, first] * features[:, second]
        return np.concatenate([np.ones((len(features), 1)), features, products], axis=1)

    matrix = terms(known)
    one_hot = np.eye(labels.max() + 1)[labels]
    penalty = np.eye(matrix.shape[1])
    weights = np.linalg.solve(matrix.T @ matrix + penalty, matrix.T @ one_hot)
    found: Labels = np.argmax(terms(unknown) @ weights, axis=1)
    return found


def describe_shortcuts(source: Source, selection: Selection) -> Iterator[str]:
    """Yield a warning for each fact about the training files that tells their classes."""
    indices = selection.splits["train"]
    chosen = [indices[i] for i in evenly(len(indices))]
    items = [source.items[i] for i in chosen]
    infos = [selection.infos[i] for i in chosen]
    facts: dict[str, list[Hashable]] = {
        "size": [(it.width, it.height) for it in infos],
        "rough size": [(round(2 * log2(it.width)), round(2 * log2(it.height))) for it in infos],
        "type of the file": [_type_of(it.name) for it in items],
    }
    labels = [it.label for it in items]
    chance = 1 / len(set(labels))
    least = chance + MIN_EXCESS * (1 - chance)
    shares = {what: _accuracy(values, labels) for what, values in facts.items()}
    shares["size"] = max(shares["size"], shares.pop("rough size"))
    for what, share in shares.items():
        if share >= least:
            yield (
                f"the {what} tells the class of {share:.0%} of the images (by chance"
                f" {chance:.0%}): a network can learn that instead of what they show"
            )
    told = [dict(it.facts) for it in items]
    for what in dict.fromkeys(name for facts in told for name in facts):
        share = _accuracy([facts.get(what, "") for facts in told], labels)
        if share >= least:
            yield (
                f"{what} tells the class of {share:.0%} of the images (by chance {chance:.0%}): a"
                " network can learn how they were taken instead of what they show"
            )


def _type_of(name: str) -> str:
    """Return the extension of a file, also of one whose name ends with the number of a frame."""
    stem, mark, number = name.rpartition("#")
    file = stem if mark and number.isdigit() else name
    extension = PurePosixPath(file).suffix.lower()
    return "" if extension[1:].isdigit() else extension


def _accuracy(values: Sequence[Hashable], labels: Sequence[int]) -> float:
    """Return the balanced accuracy of telling each label by the others with the same value."""
    sizes = Counter(labels)
    counts = Counter(zip(values, labels, strict=True))
    hits: Counter[int] = Counter()
    for value, label in zip(values, labels, strict=True):
        own = (counts[value, label] - 1) / sizes[label]
        others = (counts[value, it] / n for it, n in sizes.items() if it != label)
        hits[label] += own > max(others, default=0)
    return sum(hits[label] / n for label, n in sizes.items()) / len(sizes)


def evenly(n: int) -> NDArray[np.int64]:
    """Return the positions of the images that are used of `n`."""
    return np.arange(0, n, -(-n // MAX_IMAGES))


def _statistics(images: Images, chosen: NDArray[np.int64]) -> Floats:
    step = _step(images)
    starts = range(0, len(chosen), IMAGES_AT_ONCE)
    parts = (images[chosen[it : it + IMAGES_AT_ONCE], ::step, ::step] for it in starts)
    return np.concatenate([intensity_statistics(part) for part in parts])


def intensity_statistics(images: Images) -> Floats:
    """Return the features of some images, `(n, 9 * channels)`."""
    step = _step(images)
    some = images[:, ::step, ::step]
    pixels = some.reshape(len(some), -1, some.shape[-1])
    measured = [
        pixels.mean(axis=1),
        pixels.std(axis=1),
        *np.percentile(pixels, PERCENTILES, axis=1),
    ]
    return np.concatenate(measured, axis=1)


def _step(images: Images) -> int:
    """Return the distance of the pixels that are used; 1 of images that have only these."""
    step: int = -(-images.shape[1] // MAX_SIDE)
    return step
