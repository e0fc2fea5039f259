"""Splits that keep groups whole: all images of a patient are on one side."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

N_TRIES = 16
"""Random orders of the groups, of which the one with the most even split is used."""


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
    totals = np.maximum(counts.sum(axis=0), 1)
    shares = counts / totals
    tries = [_choose(shares, fraction, rng.permutation(len(counts))) for _ in range(N_TRIES)]
    costs = [_cost(shares[chosen].sum(axis=0), fraction) for chosen in tries]
    return sorted(tries[int(np.argmin(costs))])


def _choose(shares: NDArray[np.float64], fraction: float, order: NDArray[np.int64]) -> list[int]:
    chosen: list[int] = []
    held = np.zeros(shares.shape[1])
    for group in order.tolist():
        if _cost(held + shares[group], fraction) < _cost(held, fraction):
            chosen.append(group)
            held += shares[group]
    for label in np.flatnonzero((held == 0) & (shares.sum(axis=0) > 0)):
        others = [g for g in order.tolist() if g not in chosen and 0 < shares[g, label] < 1]
        if others:
            smallest = min(others, key=lambda group: shares[group, label])
            chosen.append(smallest)
            held += shares[smallest]
    return chosen


def _cost(held: NDArray[np.float64], fraction: float) -> float:
    return float(((held - fraction) ** 2).sum())
