"""Splits that keep groups whole: all images of a patient are on one side."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

EPSILON = 1e-9
MAX_TRIES = 32
"""Random orders of the groups, of which the one with the most even split is used."""
MAX_STEPS = 100_000
"""Groups in all tries: with very many, each order is even enough."""


def join_groups(keys: Sequence[Iterable[Hashable]]) -> list[list[int]]:
    """Join items that share a key, directly or through others; return their positions."""
    parents = list(range(len(keys)))

    def root(position: int) -> int:
        while parents[position] != position:
            parents[position] = parents[parents[position]]
            position = parents[position]
        return position

    first: dict[Hashable, int] = {}
    for position, its_keys in enumerate(keys):
        for key in its_keys:
            parents[root(position)] = root(first.setdefault(key, position))
    joined: dict[int, list[int]] = defaultdict(list)
    for position in range(len(keys)):
        joined[root(position)].append(position)
    return list(joined.values())


def choose_groups(
    counts: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> list[int]:
    """Choose groups with about a fraction of the images of each class.

    `counts` are the numbers of images by group and class, `(n_groups, n_classes)`. Every class has
    an image among the chosen groups and among the others, if that is possible.
    """
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    n_tries = min(MAX_TRIES, max(1, MAX_STEPS // len(counts)))
    tries = [_choose(shares, fraction, rng.permutation(len(counts))) for _ in range(n_tries)]
    costs = [_cost(shares[chosen].sum(axis=0), fraction, shares) for chosen in tries]
    best = min(range(n_tries), key=lambda number: costs[number])
    return [int(group) for group in np.flatnonzero(tries[best])]


def _choose(
    shares: NDArray[np.float64], fraction: float, order: NDArray[np.int64]
) -> NDArray[np.bool_]:
    chosen = np.zeros(len(shares), bool)
    held = np.zeros(shares.shape[1])
    for group in order:
        after = held + shares[group]
        takes_all = ((after > 1 - EPSILON) & (shares[group] > 0)).any()
        if not takes_all and _distance(after, fraction) < _distance(held, fraction):
            chosen[group] = True
            held = after
    for label in np.flatnonzero((held == 0) & (shares.max(axis=0) < 1)):
        its = np.flatnonzero((shares[:, label] > 0) & ~chosen)
        leaves_some = ((held + shares[its] <= 1 - EPSILON) | (shares[its] == 0)).all(axis=1)
        if held[label] == 0 and leaves_some.any():
            its = its[leaves_some]
            smallest = its[np.argmin(shares[its, label])]
            chosen[smallest] = True
            held = held + shares[smallest]
    return chosen


def _distance(held: NDArray[np.float64], fraction: float) -> float:
    return float(((held - fraction) ** 2).sum())


def _cost(
    held: NDArray[np.float64], fraction: float, shares: NDArray[np.float64]
) -> tuple[int, float]:
    """Return the number of classes that are on one side only, and the distance from fractions."""
    is_there = shares.sum(axis=0) > 0
    n_missing = int((is_there & ((held == 0) | (held > 1 - EPSILON))).sum())
    return n_missing, _distance(held, fraction)
