"""Labels of slices from the masks of volumes: whether any voxel of a slice is marked."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from search.data.listing import ImageFile, is_excluded
from search.data.parallel import map_chunks
from search.data.settings import DataSettings
from search.data.source_api import Progress
from search.data.volumes.series import GROUP_NOTE, N_NAMES, SliceImage
from search.data.volumes.slices import Slice, parse_slices
from search.data.volumes.volume import (
    VOLUME_ERRORS,
    describe_volume_error,
    read_mask,
    read_volume,
)
from search.errors import DataError
from spaces.wording import plural

MARKED, UNMARKED = "marked", "not marked"
"""The classes."""
_LAST_WORD = re.compile(r"(.+)[ _.-][^ _.-]+")


class _Pair(NamedTuple):
    position: int
    volume: str
    mask: str


def label_slices(
    root: str,
    files: Sequence[ImageFile],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None = None,
) -> list[SliceImage]:
    """Return the slices of all volumes that have a mask, with their classes; positions in `files`.

    Masks are the files that the pattern `settings.masks` matches. The mask of `case1_t1.nii.gz` is
    `case1_seg.nii.gz` or `seg.nii.gz` beside it, or `case1.nii.gz` in a folder beside its own.

    Raises:
        DataError: If no volume has a mask, or a mask cannot be read.
    """
    is_mask = [is_excluded(file.parts, (settings.masks,)) for file in files]
    masks = [file for file, it in zip(files, is_mask, strict=True) if it and file.is_volume]
    if not masks:
        raise DataError(f"No NIfTI file or MetaImage matches --masks {settings.masks}.")
    pairs, alone = [], []
    for position, file in enumerate(files):
        if file.is_volume and not is_mask[position]:
            mask = _mask_of(file, masks)
            if isinstance(mask, ImageFile):
                pairs.append(_Pair(position, f"{root}/{file.name}", f"{root}/{mask.name}"))
            else:
                alone.append(f"{file.name} ({mask})")
    if alone:
        shown = ", ".join(alone[:N_NAMES]) + ", ..." * (len(alone) > N_NAMES)
        notes.append(f"{plural(len(alone), 'volume')} left out: {shown}")
    if not pairs:
        raise DataError(f"No volume has a mask (--masks {settings.masks}): {notes[-1]}.")
    found: list[SliceImage] = []
    chunks = [[pair] for pair in pairs]
    for n_done, part in enumerate(map_chunks(lambda some: _read(some, settings), chunks), 1):
        found += part
        if progress:
            progress(n_done, len(pairs), "masks")
    counts = Counter(it.class_name for it in found)
    notes.append(
        f"{plural(len(pairs), 'volume')} with masks: {counts[MARKED]:,} slices (--slices"
        f" {settings.slices}) have a marked voxel, {counts[UNMARKED]:,} have none"
    )
    if not settings.group_from:
        notes.append(GROUP_NOTE)
    return found


def _read(pairs: Sequence[_Pair], settings: DataSettings) -> list[SliceImage]:
    rule = parse_slices(settings.slices)
    found = []
    for position, path, mask in pairs:
        try:
            volume, its_mask = read_volume(path), read_volume(mask)
            shapes = [[it.n_slices(axis) for axis in range(3)] for it in (volume, its_mask)]
            if shapes[0] != shapes[1]:
                raise ValueError(f"its shape is not that of {path}")
            is_marked = read_mask(its_mask, rule.axis)
        except VOLUME_ERRORS as error:
            raise DataError(
                f"Cannot use the mask {mask}: {describe_volume_error(error)}. Mend it, or leave"
                " its volume out with --exclude."
            ) from error
        found += [
            SliceImage(
                position,
                Slice(rule.axis, number, settings.volume - 1),
                f"volume {position + 1}",
                MARKED if is_marked[number] else UNMARKED,
            )
            for number in rule.numbers(len(is_marked))
        ]
    return found


def _mask_of(file: ImageFile, masks: Sequence[ImageFile]) -> ImageFile | str:
    """Return the mask of a volume, or why there is none."""
    found: dict[tuple[bool, int], list[ImageFile]] = {}
    for mask in masks:
        is_beside = mask.parts[:-1] == file.parts[:-1]
        if is_beside or mask.parts[:-2] == file.parts[:-2]:
            for key in _keys(mask, is_beside=is_beside):
                rest = file.stem.removeprefix(key) if file.stem.startswith(key) else None
                if rest is not None and (not key or not rest[:1].isalnum()):
                    found.setdefault((is_beside, len(key)), []).append(mask)
    if not found:
        return "without a mask"
    best = found[max(found)]
    return best[0] if len(best) == 1 else f"{len(best)} masks fit, such as {best[0].name}"


def _keys(mask: ImageFile, *, is_beside: bool) -> set[str]:
    """Return what names of volumes begin with, of which a file is the mask."""
    if not is_beside:
        return {mask.stem}
    shorter = _LAST_WORD.fullmatch(mask.stem)
    return {shorter[1] if shorter else ""}
