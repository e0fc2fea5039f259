"""Leaks: near duplicates of which one is for training and the other for validation or test.

Certain twins stay in one split. If a source's own splits divide some, a study stops, unless its
settings allow that or keep the twins in one split only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from search.data.duplicates import DuplicateFilter
from search.data.grouped_split import join_groups
from search.data.near_duplicates import MIN_CONTRAST, SIDE, Twins, find_twins
from search.data.settings import DataSettings
from search.data.source_api import ImageInfo, Item
from search.data.splits import SPLIT_PRECEDENCE
from search.errors import DataError
from spaces.wording import first_of, plural

N_NAMES = 5
"""Pairs that an error lists."""
MIN_CHAIN, MAX_CHAIN = 10, 0.01
"""Images and share of a set that may be twins of one another, directly or through others."""
_WAYS_OUT = (
    "--fix-leaks keeps such images in one split only (test if one is there, else validation),"
    " --own-splits ignore splits all images anew, --allow-leaks uses them as they are, and"
    " `convsearch data inspect --json` lists all."
)
KINDS = "mirrored, turned, rescaled, recompressed or brightened"


class LeakError(DataError):
    """The splits would leak, and the settings do not say what to do about it."""


class TornGroups(NamedTuple):
    """Groups with images in several of the source's own splits.

    Attributes:
        n: Their number, if they are used.
        left_out: Positions of images that are not used: others of their group are in a split that
            is kept.
        notes: What was allowed or left out.
    """

    n: int = 0
    left_out: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def guard_groups(items: Sequence[Item], settings: DataSettings) -> TornGroups:
    """See to it that no group is in several of the source's own splits.

    Raises:
        LeakError: If some are, and settings neither allow nor fix it.
    """
    torn = find_torn_groups(items)
    if not torn:
        return TornGroups()
    n_groups = len({item.group for item in items if item.group})
    found = f"{len(torn):,} of {n_groups:,} groups are in several splits"
    if settings.allow_leaks:
        return TornGroups(len(torn), notes=(f"{found}: results are too good",))
    if not settings.fix_leaks:
        examples = (name_by_split(its, items) for its in torn[:N_NAMES])
        listed = "".join(
            f"\n  {' and '.join(f'{name} ({split})' for split, name in it.items())}"
            for it in examples
        )
        more = f"\n  and {len(torn) - N_NAMES:,} more" if len(torn) > N_NAMES else ""
        raise LeakError(
            f"The source's splits leak, so results would be too good: {found}:{listed}{more}\n"
            f"{_WAYS_OUT}"
        )
    left_out = set[int]()
    for its in torn:
        kept = min((items[i].split for i in its), key=SPLIT_PRECEDENCE.index)
        left_out.update(i for i in its if items[i].split != kept)
    were = "image was" if len(left_out) == 1 else "images were"
    note = f"{len(left_out):,} {were} left out by --fix-leaks: {found}"
    return TornGroups(0, frozenset(left_out), (note,))


def find_torn_groups(items: Sequence[Item]) -> list[list[int]]:
    """Return the positions of the images of each group that is in several splits."""
    members: dict[str, list[int]] = {}
    for position, item in enumerate(items):
        if item.group:
            members.setdefault(item.group, []).append(position)
    return [its for its in members.values() if len({items[i].split for i in its}) > 1]


def name_by_split(indices: Sequence[int], items: Sequence[Item]) -> dict[str, str]:
    """Return the name of an image of each split; the group itself may identify a patient."""
    first = {items[i].split: items[i].name for i in reversed(indices)}
    return dict(sorted(first.items()))


def describe_exact(images: DuplicateFilter, items: Sequence[Item]) -> list[str]:
    """Return a warning of images that are left out since equal ones are in another split."""
    if not images.duplicates:
        return []
    split_of = {item.name: item.split for item in items}
    pairs = [f"{a} ({split_of[a]}) = {b} ({split_of[b]})" for a, b in images.duplicates]
    were = "image was" if len(pairs) == 1 else "images were"
    return [f"{len(pairs):,} {were} left out: equal ones are in another split, {first_of(pairs)}"]


def twins_among(infos: Mapping[int, ImageInfo], items: Sequence[Item]) -> list[Twins]:
    """Return the near duplicates among some images; exact duplicates are not among them.

    Nor are frames and slices of one file: they are always in one split, and neighbors are alike.

    Raises:
        DataError: If the images are too much alike to look for near duplicates.
    """
    indices = list(infos)
    content = b"".join(infos[i].thumbnail for i in indices)
    found = find_twins(np.frombuffer(content, np.uint8).reshape(len(indices), SIDE, SIDE))
    placed = (Twins(indices[it.first], indices[it.second], it.correlation) for it in found)
    return [
        it
        for it in placed
        if infos[it.first].digest != infos[it.second].digest
        and items[it.first].file != items[it.second].file
    ]


def n_too_plain(infos: Iterable[ImageInfo]) -> int:
    """Return how many images show too little to be compared."""
    content = b"".join(info.thumbnail for info in infos)
    levels = np.frombuffer(content, np.uint8).reshape(-1, SIDE * SIDE)
    return int((levels.std(axis=1) < MIN_CONTRAST).sum())


def guard_splits(
    twins: Sequence[Twins], images: DuplicateFilter, items: Sequence[Item], settings: DataSettings
) -> None:
    """See to it that no certain twins are in different splits of the source.

    Raises:
        LeakError: If some are, and settings neither allow nor fix it.
    """
    leaks = [
        it for it in twins if it.is_certain and items[it.first].split != items[it.second].split
    ]
    if not leaks or settings.allow_leaks:
        return
    if not settings.fix_leaks:
        pairs = [(items[it.first], items[it.second]) for it in leaks[:N_NAMES]]
        listed = "".join(f"\n  {a.name} ({a.split}) and {b.name} ({b.split})" for a, b in pairs)
        more = f"\n  and {len(leaks) - N_NAMES:,} more" if len(leaks) > N_NAMES else ""
        raise LeakError(
            f"The source's splits leak, so results would be too good: near duplicates ({KINDS}) in"
            f" different splits, {plural(len(leaks), 'pair')}:{listed}{more}\n"
            f"{_WAYS_OUT}"
        )
    partners: dict[int, list[int]] = {}
    for leak in leaks:
        partners.setdefault(leak.first, []).append(leak.second)
        partners.setdefault(leak.second, []).append(leak.first)
    kept: set[int] = set()
    for split in SPLIT_PRECEDENCE:
        for index in sorted(i for i in partners if items[i].split == split):
            twin = next((it for it in partners[index] if it in kept), None)
            if twin is None:
                kept.add(index)
            elif index in images:
                images.exclude_duplicate(index, of=twin)


def twins_kept_together(
    twins: Sequence[Twins],
    infos: Mapping[int, ImageInfo],
    items: Sequence[Item],
    settings: DataSettings,
) -> list[Twins]:
    """Return the certain twins that stay in one split, of images of which splits are made.

    Raises:
        LeakError: If many images are twins of one another, and settings neither allow nor fix it.
    """
    if {"val", "test"} <= {item.split for item in items}:
        return []
    divided = {i for i in infos if items[i].split in {"", "train"}}
    certain = [it for it in twins if it.is_certain and {it.first, it.second} <= divided]
    if settings.fix_leaks:
        return certain
    most = max(MIN_CHAIN, MAX_CHAIN * len(divided))
    sizes = {
        chain: len({items[i].group or infos[i].digest for i in chain})
        for chain in _chains(certain)
    }
    too_long = [chain for chain, size in sizes.items() if size > most]
    if settings.allow_leaks:
        free = {i for chain in too_long for i in chain}
        return [it for it in certain if it.first not in free]
    if too_long:
        longest = max(too_long, key=lambda chain: sizes[chain])
        first, second = (items[i].name for i in longest[:2])
        raise LeakError(
            f"{sizes[longest]:,} images are near duplicates of one another ({KINDS}), directly or"
            f" through others, such as {first} and {second}: more than {MAX_CHAIN:.0%} of the set."
            " --fix-leaks keeps them in one split, --allow-leaks divides them like other images."
        )
    return certain


def _chains(twins: Sequence[Twins]) -> list[tuple[int, ...]]:
    """Return the images that are twins of one another, directly or through others."""
    keys: dict[int, list[tuple[int, int]]] = {}
    for it in twins:
        for i in (it.first, it.second):
            keys.setdefault(i, []).append((it.first, it.second))
    indices = list(keys)
    return [tuple(indices[it] for it in chain) for chain in join_groups(list(keys.values()))]


def describe_twins(
    twins: Sequence[Twins], splits: Mapping[str, Sequence[int]], items: Sequence[Item]
) -> Iterator[str]:
    """Yield a warning of each kind of near duplicates among the used images."""
    split_of = {i: split for split, indices in splits.items() for i in indices}
    used = [it for it in twins if it.first in split_of and it.second in split_of]
    certain = [it for it in used if it.is_certain]
    across = [it for it in used if split_of[it.first] != split_of[it.second]]
    if within := [it for it in certain if split_of[it.first] == split_of[it.second]]:
        yield f"near duplicates ({KINDS}): {_shown(within, items)}, each kept in one split"
    if mixed := [it for it in certain if items[it.first].label != items[it.second].label]:
        found = _shown(mixed, items)
        yield f"near duplicates with different classes: {found}: check the labels"
    if leaks := [it for it in across if it.is_certain]:
        yield f"near duplicates in different splits: {_shown(leaks, items)}: results are too good"
    if likely := [it for it in across if not it.is_certain]:
        yield f"perhaps near duplicates, in different splits: {_shown(likely, items)}"


def n_leaks(twins: Sequence[Twins], splits: Mapping[str, Sequence[int]]) -> int:
    """Return the number of certain twins that are in different splits."""
    split_of = {i: split for split, indices in splits.items() for i in indices}
    pairs = [(split_of.get(it.first), split_of.get(it.second)) for it in twins if it.is_certain]
    return sum(None not in pair and pair[0] != pair[1] for pair in pairs)


def _shown(twins: Sequence[Twins], items: Sequence[Item]) -> str:
    """Return the number of pairs, and the names of one."""
    first, second = items[twins[0].first].name, items[twins[0].second].name
    example = f" such as {first} and {second}" if len(twins) > 1 else f" {first} and {second}"
    return f"{plural(len(twins), 'pair')},{example}"
