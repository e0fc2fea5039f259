"""The splits of a selection: those of the source, and missing ones from its training images.

Images of one group stay in one split, and so do images that are duplicates or near duplicates.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.data.duplicates import DuplicateFilter
from search.data.grouped_split import choose_groups, join_groups
from search.data.near_duplicates import Twins
from search.data.settings import DataSettings
from search.data.source_api import SPLITS, Item, Source
from search.errors import DataError
from spaces.wording import plural

MIN_IMAGES_PER_CLASS = 3
"""One for each split, if splits are made."""
SPLIT_PRECEDENCE = ("test", "val", "train", "")
"""An image of several splits stays in the first of these: a source's own test split is kept."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Images that are divided into splits.

    Attributes:
        items: Those of the source.
        images: The images that were kept, and those that were excluded.
        broken: Names of images that could not be read.
        together: Certain twins, by their positions in the items, which stay in one split.
    """

    items: Sequence[Item]
    images: DuplicateFilter
    broken: Mapping[str, str]
    together: Sequence[Twins]


def make_splits(
    candidates: Candidates, source: Source, settings: DataSettings
) -> dict[str, list[int]]:
    """Make three splits; they hold positions in the source's items.

    Raises:
        DataError: If there are no images for training, or a class is missing in a split.
    """
    train, val, test = settings.split
    rng = np.random.default_rng([settings.seed, 1])
    kept = {split: candidates.images.kept(split) for split in SPLIT_PRECEDENCE}
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
        rest, splits["test"] = _stratified_split(rest, candidates, fraction, rng)
    if "val" not in own:
        rest, splits["val"] = _stratified_split(rest, candidates, val / (train + val), rng)
    splits = {"train": rest, **splits}
    _check_splits(splits, source, candidates, settings)
    return splits


def _stratified_split(
    indices: Sequence[int], candidates: Candidates, fraction: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Move a fraction of each class, at least one image, out of `indices`.

    Images that stay together move together; without groups, only if the fraction is not exceeded,
    or if there are no fewer that do.
    """
    if not indices:
        return [], []
    items = candidates.items
    keys = _keys(indices, candidates)
    if any(items[i].group for i in indices) or _cross_classes(candidates, set(indices)):
        moved = _choose_units(indices, keys, candidates, fraction, rng)
        return [i for i in indices if i not in moved], sorted(moved)
    moved = set()
    for label in sorted({items[i].label for i in indices}):
        members = [i for i in indices if items[i].label == label]
        left = max(1, round(fraction * len(members)))
        units = join_groups([keys[i] for i in members])
        if len(units) > 1 and min(map(len, units)) > left:
            moved.update(members[it] for it in min(units, key=len))
        for position in rng.permutation(len(units)):
            unit = units[position]
            if len(unit) <= left:
                moved.update(members[it] for it in unit)
                left -= len(unit)
    return [i for i in indices if i not in moved], sorted(moved)


def _keys(indices: Sequence[int], candidates: Candidates) -> dict[int, list[Hashable]]:
    """Return the keys of each image: those that share one stay together."""
    keys: dict[int, list[Hashable]] = {i: [candidates.images.infos[i].digest] for i in indices}
    for i, its_keys in keys.items():
        if candidates.items[i].group:
            its_keys.append(candidates.items[i].group)
    for twins in candidates.together:
        if twins.first in keys and twins.second in keys:
            for i in (twins.first, twins.second):
                keys[i].append((twins.first, twins.second))
    return keys


def _cross_classes(candidates: Candidates, indices: set[int]) -> bool:
    items = candidates.items
    return any(
        items[it.first].label != items[it.second].label
        for it in candidates.together
        if it.first in indices and it.second in indices
    )


def _choose_units(
    indices: Sequence[int],
    keys: Mapping[int, list[Hashable]],
    candidates: Candidates,
    fraction: float,
    rng: np.random.Generator,
) -> set[int]:
    units = join_groups([keys[i] for i in indices])
    labels = np.array([candidates.items[i].label for i in indices])
    counts = np.array([np.bincount(labels[unit], minlength=labels.max() + 1) for unit in units])
    chosen = choose_groups(counts, fraction, rng)
    return {indices[position] for unit in chosen for position in units[unit]}


def _check_splits(
    splits: dict[str, list[int]], source: Source, candidates: Candidates, settings: DataSettings
) -> None:
    own = {item.split for item in source.items} - {""}
    for split in SPLITS:
        counts = Counter(source.items[i].label for i in splits[split])
        for label, name in enumerate(source.classes):
            if not counts[label]:
                raise DataError(
                    _missing_class_message(
                        name, split, source, candidates, settings, has_own=split in own
                    )
                )


def _missing_class_message(
    name: str,
    split: str,
    source: Source,
    candidates: Candidates,
    settings: DataSettings,
    *,
    has_own: bool,
) -> str:
    label = source.classes.index(name)
    of_class = [item.name for item in source.items if item.label == label]
    broken = [it for it in of_class if it in candidates.broken]
    if broken and len(broken) == len(of_class):
        raise DataError(
            f"None of the {len(of_class):,} images of class {name!r} can be read. {broken[0]}:"
            f" {candidates.broken[broken[0]]}."
        )
    reasons = _count_left_out(of_class, candidates)
    shown = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items() if n)
    left_out = f" (images left out: {shown})" if shown else ""
    parts = (split,) if has_own else ("", "train")
    n_found = sum(item.label == label and item.split in parts for item in source.items)
    kept = [
        i for it in parts for i in candidates.images.kept(it) if source.items[i].label == label
    ]
    is_drawn = (
        settings.max_images < len(source.items) and len(kept) + sum(reasons.values()) < n_found
    )
    remedy = (
        "Add images, remove the class, or raise --max-images."
        if is_drawn
        else "Add images, or remove the class."
    )
    if has_own:
        return (
            f"Expected images of every class in every split: none of class {name!r} in"
            f" {split!r}{left_out}. {remedy}"
        )
    n_groups = len(join_groups(list(_keys(kept, candidates).values())))
    if n_groups < len({candidates.images.infos[i].digest for i in kept}):
        return (
            f"Class {name!r} has no image for the split {split!r}{left_out}: its {n_found} images"
            f" are of {plural(n_groups, 'group')}, which stay whole: those of a patient, and near"
            " duplicates. Add images of others, remove the class, or choose other groups:"
            " --group-from finds them in names, --group-column in a table, --group-tag in DICOM"
            " files." + "".join(f"\nNote: {note}" for note in source.warnings)
        )
    n_distinct = len({candidates.images.infos[i].digest for i in kept})
    drawn = f", of which --max-images leaves {len(kept):,}" if is_drawn else ""
    different = plural(n_distinct, "different image")
    equal = f", but only {different}" if n_distinct < len(kept) else ""
    return (
        f"Class {name!r} is too small to split: expected at least {MIN_IMAGES_PER_CLASS} usable"
        f" images that differ, found {n_found:,}{drawn}{equal}{left_out}. {remedy}"
    )


def _count_left_out(names: Sequence[str], candidates: Candidates) -> dict[str, int]:
    """Return how many of some images were left out, by reason."""
    images, known = candidates.images, set(names)
    return {
        "broken": len(known & candidates.broken.keys()),
        "with a duplicate in another split": sum(it in known for it, _ in images.duplicates),
        "with contradicting classes": sum(
            it in known for conflict in images.conflicts.values() for it in conflict
        ),
    }
