"""Exact duplicates: images whose pixels are equal, found by the digest of the decoded pixels.

Those of one class stay together in one split; those of different classes are all left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from search.data.source_api import ImageInfo, Item


def group_duplicates(indices: Iterable[int], infos: Mapping[int, ImageInfo]) -> list[list[int]]:
    """Return the images in groups of equal pixels, most of them groups of one."""
    groups: dict[bytes, list[int]] = {}
    for index in indices:
        groups.setdefault(infos[index].digest, []).append(index)
    return list(groups.values())


class DuplicateFilter:
    """Filter of images that are added one after the other.

    Attributes:
        infos: What is known of each image that was kept, and of some that were left out later.
        counts: Numbers of images kept, by split of the source and class.
        duplicates: Names of images left out, each with the name of its twin in another split.
        conflicts: Names of images left out by digest: equal pixels in different classes.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._kept: dict[bytes, list[int]] = {}
        self.infos: dict[int, ImageInfo] = {}
        self.counts: Counter[tuple[str, int]] = Counter()
        self.duplicates: list[tuple[str, str]] = []
        self.conflicts: dict[bytes, list[str]] = {}

    def kept(self, split: str) -> list[int]:
        """Return the images kept from a split of the source, in the source's order."""
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

    def _belongs(self, item: Item, group: Sequence[int]) -> bool:
        first = self._items[group[0]]
        return (first.label, first.split) == (item.label, item.split)

    def _exclude(self, group: Sequence[int], other: Item, digest: bytes) -> None:
        """Leave out a group of images, since an equal one is of another class."""
        items = [self._items[index] for index in group]
        self.counts.subtract((item.split, item.label) for item in items)
        self.conflicts[digest] = [item.name for item in (*items, other)]
