"""Exact duplicates: images with equal digests of their decoded pixels.

Those of one class stay together in one split; those of different classes are all left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from search.data.source_api import ImageInfo, Item


def group_duplicates(indices: Iterable[int], infos: Mapping[int, ImageInfo]) -> list[list[int]]:
    """Group images of equal pixels; most groups have one image."""
    groups: dict[bytes, list[int]] = {}
    for index in indices:
        groups.setdefault(infos[index].digest, []).append(index)
    return list(groups.values())


class DuplicateFilter:
    """Filters duplicates out of images that are added one by one.

    Attributes:
        infos: Info of each kept image, and of some that were excluded later.
        counts: Number of kept images by split of the source and class.
        duplicates: Names of excluded images, each with its duplicate in another split.
        conflicts: Names of excluded images by digest: equal pixels in different classes.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._kept: dict[bytes, list[int]] = {}
        self.infos: dict[int, ImageInfo] = {}
        self.counts: Counter[tuple[str, int]] = Counter()
        self.duplicates: list[tuple[str, str]] = []
        self.conflicts: dict[bytes, list[str]] = {}

    def kept(self, split: str) -> list[int]:
        """Return the images kept from a split of the source, in its order."""
        groups = self._kept.values()
        return sorted(i for group in groups for i in group if self._items[i].split == split)

    def add(self, index: int, info: ImageInfo) -> None:
        """Keep an image, or leave it out."""
        item, group = self._items[index], self._kept.get(info.digest)
        if info.digest in self.conflicts:
            self.conflicts[info.digest].append(item.name)
        elif group is None or self._belongs(item, group):
            self._kept.setdefault(info.digest, []).append(index)
            self.counts[item.split, item.label] += 1
            self.infos[index] = info
        elif self._items[group[0]].label == item.label:
            self.duplicates.append((item.name, self._items[group[0]].name))
        else:
            self._exclude(self._kept.pop(info.digest), item, info.digest)

    def __contains__(self, index: int) -> bool:
        """Whether an image is kept."""
        return index in self._kept.get(self.infos[index].digest, ())

    def exclude_duplicate(self, index: int, *, of: int) -> None:
        """Leave out a kept image, with those of equal pixels, as a duplicate of another."""
        digest = self.infos[index].digest
        group = self._kept.pop(digest)
        self.counts.subtract((self._items[i].split, self._items[i].label) for i in group)
        self.duplicates += [(self._items[i].name, self._items[of].name) for i in group]

    def _belongs(self, item: Item, group: Sequence[int]) -> bool:
        first = self._items[group[0]]
        return (first.label, first.split) == (item.label, item.split)

    def _exclude(self, group: Sequence[int], other: Item, digest: bytes) -> None:
        """Leave out a group of images because an equal one is of another class."""
        items = [self._items[index] for index in group]
        self.counts.subtract((item.split, item.label) for item in items)
        self.conflicts[digest] = [item.name for item in (*items, other)]
