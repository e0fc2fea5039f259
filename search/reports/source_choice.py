"""Which images of a source its page shows: the most doubtful pairs, and some of each class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.data import ExaminedSource
from search.data.duplicates import group_duplicates
from search.data.near_duplicates import Twins
from search.data.source_api import Item

SIDE = 96
"""Of a picture on the page."""
MAX_PICTURE_BYTES = 4 * 2**20
"""Of all pictures as data URIs, if PNG could not compress them."""
BASE64 = 4 / 3
MAX_PAIRS, MAX_PAIRS_SHARE = 24, 1 / 6
"""Pairs of near duplicates, and their share of all pictures."""
LIKELY_SHARE = 1 / 3
"""Of the pairs, for those that are not certain."""
MAX_EQUAL = 12
"""Groups of equal images of one class, and of several."""
MAX_SHEET, MIN_SHEET = 24, 4
"""Pictures of a class; with too many classes for so few, only the first are shown."""
MAX_REPEATS = 2
"""Pairs with the same image that are shown."""


@dataclass(frozen=True, slots=True)
class ChosenImages:
    """Images of the page, by their positions in the items.

    `n_equal` and `n_conflicts` count those groups that are not shown too; `sheets` is by label.
    """

    near: list[Twins]
    equal: list[list[int]]
    n_equal: int
    conflicts: list[list[int]]
    n_conflicts: int
    sheets: dict[int, list[int]]

    def pictured(self) -> list[int]:
        """Return those of which the page has a picture."""
        pairs = (i for it in self.near for i in (it.first, it.second))
        firsts = (group[0] for group in (*self.equal, *self.conflicts))
        return sorted({*pairs, *firsts, *(i for its in self.sheets.values() for i in its)})


def choose_images(found: ExaminedSource) -> ChosenImages:
    """Choose the images of a source's page, so that its size is limited whatever the set."""
    items = found.source.items
    n_pictures = int(MAX_PICTURE_BYTES / (SIDE**2 * found.summary.used_channels * BASE64))
    near = _choose_pairs(found, min(MAX_PAIRS, int(n_pictures * MAX_PAIRS_SHARE)))
    groups = [it for it in group_duplicates(found.infos, found.infos) if len(it) > 1]
    is_mixed = [len({items[i].label for i in group}) > 1 for group in groups]
    equal = [group for group, mixed in zip(groups, is_mixed, strict=True) if not mixed]
    conflicts = [group for group, mixed in zip(groups, is_mixed, strict=True) if mixed]
    n_left = n_pictures - 2 * len(near) - min(MAX_EQUAL, len(equal))
    n_left -= min(MAX_EQUAL, len(conflicts))
    return ChosenImages(
        near=near,
        equal=equal[:MAX_EQUAL],
        n_equal=len(equal),
        conflicts=conflicts[:MAX_EQUAL],
        n_conflicts=len(conflicts),
        sheets=_choose_sheets(found, n_left),
    )


def draw_images(
    indices: Sequence[int], items: Sequence[Item], n: int, rng: np.random.Generator
) -> list[int]:
    """Draw at most `n` images, of as many groups as possible; return them in their order."""
    counts: Counter[str] = Counter()
    turns = {}
    for i in (indices[place] for place in rng.permutation(len(indices))):
        group = items[i].group
        turns[i] = counts[group] if group else 0
        counts[group] += 1
    return sorted(sorted(turns, key=lambda i: turns[i])[:n])


def _choose_sheets(found: ExaminedSource, n_pictures: int) -> dict[int, list[int]]:
    by_label: dict[int, list[int]] = {label: [] for label in range(len(found.source.classes))}
    for indices in found.selection.splits.values():
        for i in indices:
            by_label[found.source.items[i].label].append(i)
    n_each = max(MIN_SHEET, min(MAX_SHEET, n_pictures // len(by_label)))
    rng = np.random.default_rng([found.settings.seed, 2])
    shown = list(by_label.items())[: n_pictures // n_each]
    return {label: draw_images(its, found.source.items, n_each, rng) for label, its in shown}


def _choose_pairs(found: ExaminedSource, n: int) -> list[Twins]:
    """Return the most doubtful pairs; a third are not certain, since a person decides on them."""
    split_of = found.split_of()
    doubts = sorted(found.twins, key=lambda it: (_rank(it, found, split_of), -it.correlation))
    likely = _of_different_images([it for it in doubts if not it.is_certain], n)
    certain = _of_different_images([it for it in doubts if it.is_certain], n)
    certain = certain[: n - min(len(likely), int(n * LIKELY_SHARE))]
    return [*certain, *likely[: n - len(certain)]]


def _of_different_images(pairs: Sequence[Twins], n: int) -> list[Twins]:
    """Return the first pairs of which no image alone fills the list."""
    chosen: list[Twins] = []
    counts: Counter[int] = Counter()
    for pair in pairs:
        if len(chosen) == n:
            break
        if max(counts[pair.first], counts[pair.second]) < MAX_REPEATS:
            counts.update((pair.first, pair.second))
            chosen.append(pair)
    return chosen


def _rank(pair: Twins, found: ExaminedSource, split_of: Mapping[int, str]) -> int:
    """Return 0 for different classes, 1 for different splits, 2 for the rest."""
    first, second = (found.source.items[i] for i in (pair.first, pair.second))
    if first.label != second.label:
        return 0
    splits = {split_of.get(i) for i in (pair.first, pair.second)}
    return 1 if len(splits) > 1 and None not in splits else 2
