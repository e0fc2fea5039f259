"""Labels of slices from the masks of volumes: whether any voxel of a slice is marked."""

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from search.data.file_names import split_of
from search.data.listing import ImageFile
from search.data.masks import MASK_WORDS, drop_masks
from search.data.parallel_map import map_chunks
from search.data.settings import DataSettings, no_meaning
from search.data.source_api import Progress
from search.data.volumes.slices import Slice, parse_slices
from search.data.volumes.volume import (
    VOLUME_ERRORS,
    describe_volume_error,
    read_mask,
    read_volume,
)
from search.errors import DataError
from spaces.wording import first_of, plural

MARKED, UNMARKED = "marked", "not marked"
"""The classes."""
UNUSED = ("label_from", "pages", "group_tag", "where")
"""Settings that say nothing where masks say the labels."""
_LAST_WORD = re.compile(r"(.+)[ _.-][^ _.-]+")
_NUMBER = re.compile(r"[ _.-]\d+(?![a-zA-Z0-9])")
"""At the beginning of what follows a key: another case, such as `case1_2` after `case1`."""


class LabeledSlice(NamedTuple):
    """A slice of a file, the name of its class, its group and its split."""

    file: ImageFile
    slice: Slice
    class_name: str
    group: str
    split: str


class _Pair(NamedTuple):
    file: ImageFile
    path: str
    mask: str


def label_slices(
    root: str,
    files: Sequence[ImageFile],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None = None,
) -> list[LabeledSlice]:
    """Return the slices of all volumes that have a mask, with their classes.

    Masks are the files that the pattern `settings.masks` matches. The mask of `case1_t1.nii.gz` is
    `case1_seg.nii.gz` or `seg.nii.gz` beside it, or `case1.nii.gz` in a folder beside its own.
    Volumes with one mask are a group. A volume that cannot be used is left out with a note.

    Raises:
        DataError: If no slice of a volume with a mask is left, or `strict` and one cannot be used.
    """
    for key in UNUSED:
        if getattr(settings, key) != DataSettings.model_fields[key].default:
            raise no_meaning(settings, key, "whose labels are those of --masks")
    masks, volumes = _divide(files, settings.masks)
    notes += _describe_others(files, masks, volumes)
    pairs, alone = [], []
    for file in volumes:
        mask = _mask_of(file, masks)
        if isinstance(mask, ImageFile):
            pairs.append(_Pair(file, f"{root}/{file.name}", f"{root}/{mask.name}"))
        else:
            alone.append(f"{file.name} ({mask})")
    groups = {path: n for n, path in enumerate(sorted({pair.mask for pair in pairs}), 1)}
    splits = _splits(pairs)
    found: list[LabeledSlice] = []
    chunks = [[pair] for pair in pairs]
    read = map_chunks(lambda some: [_read(pair, settings) for pair in some], chunks)
    for n_done, (pair, (labels,)) in enumerate(zip(pairs, read, strict=True), 1):
        if isinstance(labels, str):
            alone.append(f"{pair.file.name} ({labels})")
        else:
            group = f"mask #{groups[pair.mask]}"
            split = splits.get(pair.file.parts[0], "")
            found += [LabeledSlice(pair.file, *label, group, split) for label in labels]
        if progress:
            progress(n_done, len(pairs), "masks")
    _describe(found, alone, settings, notes)
    return found


def _divide(files: Sequence[ImageFile], pattern: str) -> tuple[list[ImageFile], list[ImageFile]]:
    """Return the masks and the volumes among some files; other masks are neither."""
    patterns = (pattern, f"*/{pattern}")
    masks: list[ImageFile] = []
    others: list[ImageFile] = []
    for file in files:
        if file.is_volume:
            is_mask = any(fnmatchcase(file.name, it) for it in patterns)
            (masks if is_mask else others).append(file)
    if not masks or not others:
        shown = first_of([file.name for file in masks or others]) or "none"
        raise DataError(
            f"Expected volumes of which some match --masks {pattern}, and others do not. Received:"
            f" {'all match' if masks else 'none matches'}, such as {shown}."
        )
    kept = set(drop_masks([*masks, *others])[0])
    return masks, [file for file in others if file in kept]


def _describe_others(
    files: Sequence[ImageFile], masks: Sequence[ImageFile], volumes: Sequence[ImageFile]
) -> list[str]:
    n_others = len(files) - len(masks) - len(volumes)
    return [f"{plural(n_others, 'file')} ignored, beside volumes and masks"] if n_others else []


def _splits(pairs: Sequence[_Pair]) -> dict[str, str]:
    """Return the splits of the top folders, if all of them are named for one."""
    found = {pair.file.parts[0]: split_of(pair.file.parts[0]) for pair in pairs}
    is_divided = all(found.values()) and "train" in found.values()
    return found if is_divided and len(set(found.values())) > 1 else {}


def _describe(
    found: Sequence[LabeledSlice],
    alone: Sequence[str],
    settings: DataSettings,
    notes: list[str],
) -> None:
    left_out = ""
    if alone:
        left_out = f"{plural(len(alone), 'volume')} left out: {first_of(alone)}"
        notes.append(left_out)
    if not found or (alone and settings.strict):
        raise DataError(
            f"Expected volumes with masks and slices {settings.slices} (--masks, --slices)."
            f" {left_out or 'No volume has such a slice'}."
        )
    counts = Counter(it.class_name for it in found)
    n_groups = len({it.group for it in found})
    notes.append(
        f"{plural(len({it.file for it in found}), 'volume')} with {plural(n_groups, 'mask')}:"
        f" {counts[MARKED]:,} slices (--slices {settings.slices}) have a marked voxel,"
        f" {counts[UNMARKED]:,} have none"
    )
    if not settings.group_from:
        notes.append(
            "the volumes of a mask are a group: if a patient has several masks, --group-from finds"
            " the patient in the paths"
        )


def _read(pair: _Pair, settings: DataSettings) -> list[tuple[Slice, str]] | str:
    """Return the slices of a volume with their classes, or why it cannot be used."""
    rule = parse_slices(settings.slices)
    try:
        volume = read_volume(pair.path)
    except VOLUME_ERRORS as error:
        return describe_volume_error(error)
    if settings.volume > volume.n_volumes:
        return f"it has no volume {settings.volume}"
    try:
        mask = read_volume(pair.mask)
        if [mask.n_slices(axis) for axis in range(3)] != [
            volume.n_slices(axis) for axis in range(3)
        ]:
            return "its mask has another shape"
        if (mask.sources, mask.signs) != (volume.sources, volume.signs):
            return "its mask has another orientation"
        is_marked = read_mask(mask, rule.axis)
    except VOLUME_ERRORS as error:
        return f"its mask: {describe_volume_error(error)}"
    return [
        (
            Slice(rule.axis, number, settings.volume - 1),
            MARKED if is_marked[number] else UNMARKED,
        )
        for number in rule.numbers(len(is_marked))
    ]


def _mask_of(file: ImageFile, masks: Sequence[ImageFile]) -> ImageFile | str:
    """Return the mask of a volume, or why there is none."""
    found: dict[tuple[bool, int], list[ImageFile]] = {}
    for mask in masks:
        is_beside = mask.parts[:-1] == file.parts[:-1]
        if is_beside or mask.parts[:-2] == file.parts[:-2]:
            key = _key(mask) if is_beside else mask.stem
            if key is not None and _begins_with(file.stem, key, is_beside=is_beside):
                found.setdefault((is_beside, len(key)), []).append(mask)
    if not found:
        return "without a mask"
    best = found[max(found)]
    return best[0] if len(best) == 1 else f"{len(best)} masks fit, such as {best[0].name}"


def _key(mask: ImageFile) -> str | None:
    """Return what the names of volumes beside a mask begin with; None if it tells nothing."""
    shorter = _LAST_WORD.fullmatch(mask.stem)
    if shorter:
        return shorter[1]
    return "" if mask.stem.lower() in MASK_WORDS else None


def _begins_with(stem: str, key: str, *, is_beside: bool) -> bool:
    """Whether a volume's name begins with a key, and what follows is no number of another case."""
    if not stem.startswith(key):
        return False
    rest = stem[len(key) :]
    is_other = bool(key) and (
        rest[:1].isalnum() or (is_beside and _NUMBER.match(rest) is not None)
    )
    return not is_other
