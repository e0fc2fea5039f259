"""Masks of segmentation that lie beside the images which they belong to."""

import os
import re
from collections.abc import Sequence

from search.data.listing import ImageFile

IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs"})
MASK_FOLDERS = frozenset({
    "mask", "masks", "segmentation", "segmentations", "groundtruth", "ground_truth", "gt",
    "annotations",
})  # fmt: skip
_MASK_NAME = re.compile(r"(.+?)[ _-](?:mask|segmentation|seg|gt)(?:[ _-]?\d+)?", re.IGNORECASE)


def drop_masks(images: Sequence[ImageFile]) -> tuple[list[ImageFile], list[str]]:
    """Leave masks out, and return the others with a note if there were any.

    Masks are files such as `a_mask.png` beside `a.png`, and those of a folder `masks` beside a
    folder `images`.
    """
    stems = {(*file.parts[:-1], _stem(file)) for file in images}
    folders = {
        (*file.parts[:depth], folder.lower())
        for file in images
        for depth, folder in enumerate(file.parts[:-1])
    }
    kept: list[ImageFile] = []
    masks: list[ImageFile] = []
    for file in images:
        is_mask = _is_beside(file, stems) or _is_below(file, folders)
        (masks if is_mask else kept).append(file)
    if not masks:
        return kept, []
    are = "mask was" if len(masks) == 1 else "masks were"
    return kept, [f"{len(masks):,} {are} left out, such as {masks[0].name}"]


def _stem(file: ImageFile) -> str:
    return os.path.splitext(file.parts[-1])[0]  # noqa: PTH122


def _is_beside(file: ImageFile, stems: set[tuple[str, ...]]) -> bool:
    found = _MASK_NAME.fullmatch(_stem(file))
    return found is not None and (*file.parts[:-1], found[1]) in stems


def _is_below(file: ImageFile, folders: set[tuple[str, ...]]) -> bool:
    return any(
        folder.lower() in MASK_FOLDERS
        and any((*file.parts[:depth], name) in folders for name in IMAGE_FOLDERS)
        for depth, folder in enumerate(file.parts[:-1])
    )
