"""Selection of the images that a study uses: the class-balanced draw, and the splits.

Only images that may be used are read; one that is broken or already in another split is replaced
by another of its class. The draw depends only on settings and pixels, so every machine selects the
same images.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.data.duplicates import DuplicateFilter
from search.data.leaks import (
    describe_exact,
    describe_twins,
    guard_groups,
    guard_splits,
    n_leaks,
    n_too_plain,
    twins_among,
    twins_kept_together,
)
from search.data.near_duplicates import Twins
from search.data.quotas import class_quotas
from search.data.settings import DataSettings
from search.data.source_api import ImageInfo, Item, Source, UnreadableImage
from search.data.splits import SPLIT_PRECEDENCE, Candidates, make_splits
from search.errors import DataError
from spaces.wording import join_words

MIN_CLASSES = 2
MAX_PLAIN = 0.01
"""Share of images that show too little to be compared, above which a warning says so."""
MIN_COLORED = 0.1
"""Share of a class with real color, below which it is an exception, such as a colored mark."""
_HOW_TO_LABEL = {
    "folder": "Put the images of each class into a folder of its own, or name a table that has "
    "their labels as the source.",
    "manifest": "Name the column with the labels: --label-column.",
    "npz": "Give each class a label of its own.",
    "hdf5": "Give each class a label of its own.",
}

Inspector = Callable[[Sequence[int]], Sequence[ImageInfo | UnreadableImage]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The images that a study uses, and those that were left out.

    Attributes:
        splits: Positions in the source's items for `train`, `val` and `test`.
        broken: Names of images that could not be read, with the reason.
        duplicates: Names of excluded images, each with its duplicate in another split.
        conflicts: Names of excluded images with equal pixels and different classes.
        n_drawn: Number of images that were drawn, of all in the source.
        twins: Near duplicates among those that were not left out.
        n_leaks: Number of pairs of near duplicates, and of groups, that are in different splits.
        leak_warnings: Warnings of near duplicates among the used images.
        infos: Facts about each used image, by its position.
        has_color: Whether those with color are more than a few of a class.
    """

    splits: dict[str, list[int]]
    broken: dict[str, str]
    duplicates: list[tuple[str, str]]
    conflicts: list[tuple[str, ...]]
    n_drawn: int
    twins: list[Twins]
    n_leaks: int
    leak_warnings: list[str]
    infos: dict[int, ImageInfo]
    has_color: bool


def select(source: Source, settings: DataSettings, inspect: Inspector) -> Selection:
    """Draw images evenly over the classes and divide them into splits.

    Raises:
        DataError: If there is only one class, a class is too small, the source's own splits leak,
            or an image cannot be read and settings are strict.
    """
    _check_classes(source, settings)
    torn = guard_groups(source.items, settings)
    draw = _Draw(source.items, inspect, strict=settings.strict, left_out=torn.left_out)
    rng = np.random.default_rng([settings.seed, 0])
    quotas = class_quotas(source, settings, torn.left_out)
    for split in SPLIT_PRECEDENCE:
        draw.sample_split(split, quotas, rng)
    twins, notes = _find_twins(draw)
    notes = [*torn.notes, *describe_exact(draw.images, source.items), *notes]
    n_exact = len(draw.images.duplicates)
    guard_splits(twins, draw.images, source.items, settings)
    if n_near := len(draw.images.duplicates) - n_exact:
        are = "image was" if n_near == 1 else "images were"
        notes.append(
            f"{n_near:,} {are} left out by --fix-leaks: near duplicates are in another split"
        )
    together = twins_kept_together(twins, draw.images.infos, source.items, settings)
    candidates = Candidates(source.items, draw.images, draw.broken, together)
    try:
        splits = make_splits(candidates, source, settings)
    except DataError as error:
        raise DataError("\nNote: ".join((str(error), *torn.notes))) from None
    used = [i for part in splits.values() for i in sorted(part)]
    infos = {i: draw.images.infos[i] for i in used}
    return Selection(
        splits=splits,
        broken=draw.broken,
        duplicates=draw.images.duplicates,
        conflicts=[tuple(names) for names in draw.images.conflicts.values()],
        n_drawn=draw.n_drawn,
        twins=twins,
        n_leaks=n_leaks(twins, splits) + torn.n,
        leak_warnings=[*notes, *describe_twins(twins, splits, source.items)],
        infos=infos,
        has_color=_is_color_set(source.items, infos),
    )


def n_channels(settings: DataSettings, selection: Selection) -> int:
    """Return 1 for grey and 3 for color; `auto` follows the images that are used."""
    if settings.color == "auto":
        return 3 if selection.has_color else 1
    return {"grey": 1, "rgb": 3}[settings.color]


def _find_twins(draw: "_Draw") -> tuple[list[Twins], list[str]]:
    """Return the near duplicates among the drawn images, or why they were not looked for."""
    kept = sorted(i for split in SPLIT_PRECEDENCE for i in draw.images.kept(split))
    infos = {i: draw.images.infos[i] for i in kept}
    n_plain = n_too_plain(infos.values())
    notes = [
        f"{n_plain:,} of {len(infos):,} images show too little to look for near duplicates of them"
    ]
    try:
        return twins_among(infos, draw.items), notes if n_plain > MAX_PLAIN * len(infos) else []
    except DataError as error:
        return [], [str(error)]


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
            f" {_what_to_do(source, settings)}"
        )


def _what_to_do(source: Source, settings: DataSettings) -> str:
    given = {"--where": settings.where, "--merge": settings.merge, "--classes": settings.classes}
    options = [option for option, value in given.items() if value]
    if options:
        return f"That is what is left after {join_words(options)}."
    return _HOW_TO_LABEL.get(source.kind, "")


class _Draw:
    """The state of a draw: kept images, and why others are excluded."""

    def __init__(
        self,
        items: Sequence[Item],
        inspect: Inspector,
        *,
        strict: bool,
        left_out: Collection[int],
    ) -> None:
        self.items = items
        self._left_out = left_out
        self._inspect = inspect
        self._strict = strict
        self.images = DuplicateFilter(items)
        self.broken: dict[str, str] = {}
        self.n_drawn = 0

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
            self.n_drawn += len(batch)
            for index, info in zip(batch, self._inspect(batch), strict=True):
                if isinstance(info, UnreadableImage):
                    self._exclude_unreadable(self.items[index], info)
                else:
                    self.images.add(index, info)

    def _queues(self, split: str, rng: np.random.Generator) -> dict[int, list[int]]:
        by_label: dict[int, list[int]] = {}
        for index, item in enumerate(self.items):
            if item.split == split and index not in self._left_out:
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
                f"Cannot read the image {item.name}: {broken.reason.rstrip('.')}."
                " Remove it, or leave out --strict, which refuses broken images."
            )
        self.broken[item.name] = broken.reason
