"""Masks of segmentation that lie beside the images which they belong to."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from search.data.listing import ImageFile

IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs", "imagestr", "imagests"})
MASK_FOLDERS = frozenset({
    "mask", "masks", "segmentation", "segmentations", "groundtruth", "ground_truth", "gt",
    "annotations", "labels", "labelstr", "labelsts",
})  # fmt: skip
_MASK_NAME = re.compile(r"(.+?)[ _-](?:mask|segmentation|seg|gt)(?:[ _-]?\d+)?", re.IGNORECASE)
MASK_WORDS = ("mask", "segmentation", "seg", "gt", "label")
_VOLUME_MASK_NAME = re.compile(rf"(?:(.+)[ _-])?(?:{'|'.join(MASK_WORDS)})", re.IGNORECASE)


def drop_masks(images: Sequence[ImageFile]) -> tuple[list[ImageFile], list[str]]:
    """Leave masks out, and return the others with a note if there were any.

    Masks are files such as `a_mask.png` beside `a.png`, `case1_seg.nii.gz` beside other volumes of
    the case, and those of a folder `masks` beside a folder `images`.
    """
    stems = {(*file.parts[:-1], file.stem) for file in images}
    folders = {
        (*file.parts[:depth], folder.lower())
        for file in images
        for depth, folder in enumerate(file.parts[:-1])
    }
    volumes = defaultdict(list)
    for file in images:
        if file.is_volume:
            volumes[file.parts[:-1]].append(file.stem)
    kept: list[ImageFile] = []
    masks: list[ImageFile] = []
    for file in images:
        is_mask = _is_beside(file, stems) or _is_below(file, folders)
        is_mask = is_mask or (file.is_volume and _is_beside_volume(file, volumes))
        (masks if is_mask else kept).append(file)
    if not masks:
        return kept, []
    are = "mask was" if len(masks) == 1 else "masks were"
    return kept, [f"{len(masks):,} {are} left out, such as {masks[0].name}"]


def _is_beside(file: ImageFile, stems: set[tuple[str, ...]]) -> bool:
    found = _MASK_NAME.fullmatch(file.stem)
    return found is not None and (*file.parts[:-1], found[1]) in stems


def _is_beside_volume(file: ImageFile, volumes: Mapping[tuple[str, ...], Sequence[str]]) -> bool:
    """Whether it is `case1_seg.nii.gz` beside `case1_t1.nii.gz`, or `seg.nii.gz` beside `t1`."""
    found = _VOLUME_MASK_NAME.fullmatch(file.stem)
    others = volumes.get(file.parts[:-1], ())
    return found is not None and any(
        it.startswith(found[1] or "") and not _VOLUME_MASK_NAME.fullmatch(it) for it in others
    )


def _is_below(file: ImageFile, folders: set[tuple[str, ...]]) -> bool:
    return any(
        folder.lower() in MASK_FOLDERS
        and any((*file.parts[:depth], name) in folders for name in IMAGE_FOLDERS)
        for depth, folder in enumerate(file.parts[:-1])
    )
