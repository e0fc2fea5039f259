"""Selection of the images that a study uses: the class-balanced draw, and the splits.

Only images that may be used are read; one that is broken or already in another split is replaced
by another of its class. The draw depends only on settings and pixels, so every machine selects the
same images.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.data.duplicates import DuplicateFilter, group_duplicates
from search.data.grouped_split import choose_groups, join_groups
from search.data.quotas import class_quotas
from search.data.settings import DataSettings
from search.data.source_api import SPLITS, ImageInfo, Item, Source, UnreadableImage
from search.errors import DataError

MIN_CLASSES = 2
MIN_COLORED = 0.1
"""Share of a class with real color, below which it is an exception, such as a colored mark."""
MIN_IMAGES_PER_CLASS = 3
"""One for each split, if splits are made."""
_HOW_TO_LABEL = {
    "folder": "Put the images of each class into a folder of its own, or name a table that has "
    "their labels as the source.",
    "manifest": "Name the column with the labels: --label-column.",
    "npz": "Give each class a label of its own.",
}
SPLIT_PRECEDENCE = ("test", "val", "train", "")
"""An image of several splits stays in the first of these: a source's own test split is kept."""

Inspector = Callable[[Sequence[int]], Sequence[ImageInfo | UnreadableImage]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The images that a study uses, and those that were left out.

    Attributes:
        splits: Positions in the source's items for `train`, `val` and `test`.
        broken: Names of images that could not be read, with the reason.
        duplicates: Names of excluded images, each with its duplicate in another split.
        conflicts: Names of excluded images with equal pixels and different classes.
        infos: Facts about each used image, by its position.
        has_color: Whether those with color are more than a few of a class.
    """

    splits: dict[str, list[int]]
    broken: dict[str, str]
    duplicates: list[tuple[str, str]]
    conflicts: list[tuple[str, ...]]
    infos: dict[int, ImageInfo]
    has_color: bool


def select(source: Source, settings: DataSettings, inspect: Inspector) -> Selection:
    """Draw images evenly over the classes and divide them into splits.

    Raises:
        DataError: If there is only one class, a class is too small, or an image cannot be read
            and settings are strict.
    """
    _check_classes(source, settings)
    _check_groups(source)
    draw = _Draw(source.items, inspect, strict=settings.strict)
    rng = np.random.default_rng([settings.seed, 0])
    quotas = class_quotas(source, settings)
    for split in SPLIT_PRECEDENCE:
        draw.sample_split(split, quotas, rng)
    splits = _make_splits(draw, source, settings)
    _check_splits(splits, source, draw)
    used = [i for part in splits.values() for i in sorted(part)]
    infos = {i: draw.images.infos[i] for i in used}
    return Selection(
        splits=splits,
        broken=draw.broken,
        duplicates=draw.images.duplicates,
        conflicts=[tuple(names) for names in draw.images.conflicts.values()],
        infos=infos,
        has_color=_is_color_set(source.items, infos),
    )


def _is_color_set(items: Sequence[Item], infos: Mapping[int, ImageInfo]) -> bool:
    """Whether some class has color: more than one image, and not one in ten, are no exception."""
    sizes = Counter(items[i].label for i in infos)
    counts = Counter(items[i].label for i, info in infos.items() if info.has_color)
    return any(n > 1 and n >= MIN_COLORED * sizes[label] for label, n in counts.items())


def _check_classes(source: Source, settings: DataSettings) -> None:
    if len(source.classes) < MIN_CLASSES:
        raise DataError(
            f"Expected at least {MIN_CLASSES} classes in {settings.source}."
            f" Received: {len(source.classes)}, {', '.join(map(repr, source.classes))}."
            f" {_HOW_TO_LABEL.get(source.kind, '')}"
        )


class _Draw:
    """The state of a draw: kept images, and why others are excluded."""

    def __init__(self, items: Sequence[Item], inspect: Inspector, *, strict: bool) -> None:
        self.items = items
        self._inspect = inspect
        self._strict = strict
        self.images = DuplicateFilter(items)
        self.broken: dict[str, str] = {}

    def sample_split(
        self, split: str, quotas: dict[tuple[str, int], int], rng: np.random.Generator
    ) -> None:
        """Inspect batches until each class has reached its quota or has no candidates left."""
        queues, counts = self._queues(split, rng), self.images.counts
        while batch := sorted(
            queue.pop()
            for label, queue in queues.items()
            for _ in range(min(len(queue), quotas[split, label] - counts[split, label]))
        ):
            for index, info in zip(batch, self._inspect(batch), strict=True):
                if isinstance(info, UnreadableImage):
                    self._exclude_unreadable(self.items[index], info)
                else:
                    self.images.add(index, info)

    def _queues(self, split: str, rng: np.random.Generator) -> dict[int, list[int]]:
        by_label: dict[int, list[int]] = {}
        for index, item in enumerate(self.items):
            if item.split == split:
                by_label.setdefault(item.label, []).append(index)
        return {
            label: self._interleave([members[i] for i in rng.permutation(len(members))])
            for label, members in sorted(by_label.items())
        }

    def _interleave(self, queue: list[int]) -> list[int]:
        """Order a queue so that its end has an image of every group, before that another, ..."""
        if not any(self.items[i].group for i in queue):
            return queue
        counts: Counter[str] = Counter()
        turns = {}
        for i in reversed(queue):
            group = self.items[i].group
            turns[i] = counts[group] if group else 0
            counts[group] += 1
        return sorted(queue, key=lambda i: -turns[i])

    def _exclude_unreadable(self, item: Item, broken: UnreadableImage) -> None:
        if self._strict:
            raise DataError(
                f"Cannot read the image {item.name}: {broken.reason}."
                " Remove it, or leave out --strict, which refuses broken images."
            )
        self.broken[item.name] = broken.reason


def _make_splits(draw: _Draw, source: Source, settings: DataSettings) -> dict[str, list[int]]:
    """Make three splits: the source's own ones, and missing ones from its training images."""
    train, val, test = settings.split
    rng = np.random.default_rng([settings.seed, 1])
    kept = {split: draw.images.kept(split) for split in SPLIT_PRECEDENCE}
    own = {item.split for item in source.items}
    if not own & {"train", ""}:
        raise DataError(
            f"Expected images for training in {settings.source}. Received: only those of"
            f" {' and '.join(sorted(own))}."
        )
    rest = kept["train"] if "train" in own else kept[""]
    splits = {"val": kept["val"], "test": kept["test"]}
    if "test" not in own:
        fraction = test if "val" not in own else test / (train + test)
        rest, splits["test"] = _stratified_split(rest, draw, fraction, rng)
    if "val" not in own:
        rest, splits["val"] = _stratified_split(rest, draw, val / (train + val), rng)
    return {"train": rest, **splits}


def _stratified_split(
    indices: Sequence[int], draw: _Draw, fraction: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Move a fraction of each class, at least one image, out of `indices`.

    Images of equal pixels move together, if the fraction is not exceeded, and so do groups.
    """
    if any(draw.items[i].group for i in indices):
        return _split_by_group(indices, draw, fraction, rng)
    moved: set[int] = set()
    for label in sorted({draw.items[i].label for i in indices}):
        members = [i for i in indices if draw.items[i].label == label]
        left = max(1, round(fraction * len(members)))
        groups = group_duplicates(members, draw.images.infos)
        for position in rng.permutation(len(groups)):
            if len(groups[position]) <= left:
                moved.update(groups[position])
                left -= len(groups[position])
    return [i for i in indices if i not in moved], sorted(moved)


def _split_by_group(
    indices: Sequence[int], draw: _Draw, fraction: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    keys: list[list[Hashable]] = [[draw.images.infos[i].digest] for i in indices]
    for i, its_keys in zip(indices, keys, strict=True):
        if draw.items[i].group:
            its_keys.append(draw.items[i].group)
    units = join_groups(keys)
    labels = np.array([draw.items[i].label for i in indices])
    counts = np.array([np.bincount(labels[unit], minlength=labels.max() + 1) for unit in units])
    chosen = choose_groups(counts, fraction, rng)
    moved = {indices[position] for unit in chosen for position in units[unit]}
    return [i for i in indices if i not in moved], sorted(moved)


def _check_groups(source: Source) -> None:
    """Raise an error if a group is on both sides of the source's own splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for item in source.items:
        if item.group:
            splits[item.group].add(item.split)
    torn = {group: found for group, found in splits.items() if len(found) > 1}
    if torn:
        group, found = next(iter(torn.items()))
        raise DataError(
            f"{len(torn):,} of {len(splits):,} groups are in more than one split, such as"
            f" {group!r} in {' and '.join(sorted(found))}: results would be too good. Move each"
            " group into one split, or leave the splits to convsearch."
        )


def _check_splits(splits: dict[str, list[int]], source: Source, draw: _Draw) -> None:
    own = {item.split for item in source.items} - {""}
    for split in SPLITS:
        counts = Counter(source.items[i].label for i in splits[split])
        for label, name in enumerate(source.classes):
            if not counts[label]:
                has_own = split in own
                raise DataError(_missing_class_message(name, split, source, draw, has_own=has_own))


def _missing_class_message(
    name: str, split: str, source: Source, draw: _Draw, *, has_own: bool
) -> str:
    label = source.classes.index(name)
    n_listed = sum(item.label == label for item in source.items)
    broken = [item.name for item in source.items if item.label == label]
    broken = [it for it in broken if it in draw.broken]
    if len(broken) == n_listed:
        raise DataError(
            f"None of the {n_listed:,} images of class {name!r} can be read. {broken[0]}:"
            f" {draw.broken[broken[0]]}."
        )
    n_broken, n_twins = len(draw.broken), len(draw.images.duplicates)
    n_conflicting = sum(map(len, draw.images.conflicts.values()))
    left_out = (
        f" ({n_broken} broken images, {n_twins} with a twin in another split and {n_conflicting}"
        " with contradicting classes were left out)"
        if n_broken or n_twins or n_conflicting
        else ""
    )
    n_groups = len({item.group for item in source.items if item.label == label} - {""})
    if n_groups and not has_own:
        return (
            f"Class {name!r} has no image for the split {split!r}{left_out}: its {n_listed} images"
            f" are of {n_groups} groups, which stay whole. Add images of others, or remove the"
            " class."
        )
    if has_own:
        return (
            f"Expected images of every class in every split: none of class {name!r} in"
            f" {split!r}{left_out}. Add some, remove the class, or raise max_images."
        )
    return (
        f"Class {name!r} is too small to split: expected at least "
        f"{MIN_IMAGES_PER_CLASS} usable images,"
        f" listed {n_listed}{left_out}. Add images, remove the class, or raise max_images."
    )
