"""A set in several HDF5 files, as PatchCamelyon has them: of images, of labels, and of groups.

`NAME_x.h5` has images and `NAME_y.h5` beside it their labels. A word of NAME is the split. A
table `NAME_meta.csv` may have a row for each image.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from search.data.file_names import split_of, words_in
from search.data.source_api import SPLITS
from search.errors import DataError
from spaces.wording import shorten

EXTENSIONS = (".h5", ".hdf5")
PACKED = tuple(f"{it}.gz" for it in EXTENSIONS)


class SplitFiles(NamedTuple):
    """The files of a split, which is empty for a set without splits; there may be no table."""

    split: str
    images: Path
    labels: Path
    table: Path | None


def is_packed(path: Path) -> bool:
    """Whether a file is a compressed HDF5 file, by its name."""
    return path.name.lower().endswith(PACKED)


def find_set(path: Path) -> list[SplitFiles]:
    """Return the files of the set in a folder, or of that which a file belongs to.

    The list is empty if there are none.

    Raises:
        DataError: If files of labels are missing, are packed, or their splits are not clear.
    """
    folder = path if path.is_dir() else path.parent
    entries = [it for it in os.scandir(folder) if it.name[0] != "."]
    if folder == path and any(it.is_dir() for it in entries):
        return []  # Folders of classes may have anything beside them.
    found = {it.name.lower(): Path(it.path) for it in entries}
    starts = {
        name.removesuffix(f"_x{extension}"): images
        for extension in EXTENSIONS
        for name, images in found.items()
        if name.endswith(f"_x{extension}")
    }
    if folder != path:
        start = path.name.lower().removesuffix(path.suffix.lower())[:-2]
        if start not in starts or _labels(start, found) is None:
            return []
        starts = {it: starts[it] for it in starts if _set_name(it) == _set_name(start)}
    elif not starts and (packed := [it for it in found.values() if is_packed(it)]):
        raise unpack_first(min(packed))
    files = [_split_files(start, images, found) for start, images in starts.items()]
    _check_splits(folder, files)
    return sorted(files, key=lambda it: ("", *SPLITS).index(it.split))


def unpack_first(path: Path) -> DataError:
    """Return the error for a packed file."""
    return DataError(f"{path} is packed. Unpack it first: gunzip {shorten(str(path))}")


def _split_files(start: str, images: Path, found: Mapping[str, Path]) -> SplitFiles:
    labels = _labels(start, found)
    if labels is None:
        packed = [found[f"{start}_y{it}"] for it in PACKED if f"{start}_y{it}" in found]
        if packed:
            raise unpack_first(packed[0])
        stem = images.name[: len(start)]
        raise DataError(
            f"Expected the labels of {images} in {stem}_y{images.suffix} beside it, which is"
            " missing."
        )
    return SplitFiles(_split_in(start), images, labels, found.get(f"{start}_meta.csv"))


def _labels(start: str, found: Mapping[str, Path]) -> Path | None:
    return next((found[f"{start}_y{it}"] for it in EXTENSIONS if f"{start}_y{it}" in found), None)


def _split_in(start: str) -> str:
    """Return the split that words of a name say; empty if none does, or several differ."""
    splits = {split_of(word) for word in words_in(start)} - {""}
    return splits.pop() if len(splits) == 1 else ""


def _set_name(start: str) -> tuple[str, ...]:
    """Return the words of a name that are the same in all splits of a set."""
    return tuple(word for word in words_in(start) if not split_of(word))


def _check_splits(folder: Path, files: list[SplitFiles]) -> None:
    splits = [it.split for it in files]
    if len(set(splits)) < len(splits) or ("" in splits and len(splits) > 1):
        names = ", ".join(sorted(it.images.name for it in files))
        raise DataError(
            f"Expected one file of images for each split in {folder}, with the word train, valid"
            f" or test in its name. Received: {shorten(names)}. Name one of them to use its set."
        )
