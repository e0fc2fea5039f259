"""Images from HDF5: arrays in one file, or a file of images and one of labels for each split."""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.data.group_quality import describe_unlikely_groups, why_not_to_guess
from search.data.hdf5.contents import Contents, read_contents
from search.data.hdf5.set_files import SplitFiles
from search.data.hdf5.stored_images import READ_ERRORS, Band, StoredImages, describe_read_error
from search.data.labeled_arrays import (
    check_images,
    check_labels,
    check_types,
    name_classes,
    plain_images,
)
from search.data.listed_class_names import read_class_names
from search.data.manifest_columns import NONE, find_group_column
from search.data.settings import DataSettings, no_meaning
from search.data.source_api import SPLITS, Decoded, Item, UnreadableImage
from search.data.tables import read_table
from search.errors import DataError

PAIRS = (("images", "labels"), ("x", "y"), ("X", "Y"))
"""Names of the datasets of images and of labels."""
IMAGES = (*(f"{split}_images" for split in SPLITS), *(images for images, _ in PAIRS))
LABELS = (*(f"{split}_labels" for split in SPLITS), *(labels for _, labels in PAIRS))


class Part(NamedTuple):
    """The images of a split, their labels and groups, and the beginning of their names."""

    split: str
    images: StoredImages
    labels: NDArray[Any]
    name: str
    groups: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the headers of files say."""

    classes: tuple[str, ...]
    items: Sequence[Item]
    images: Sequence[StoredImages]
    notes: Sequence[str]


class Hdf5Source:
    """Images that are read one by one; headers and labels are read on first use."""

    kind = "hdf5"
    guessed: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path, files: Sequence[SplitFiles], settings: DataSettings) -> None:
        """Name the files: those of a set, or the file at `path` if there are none."""
        self._path = path
        self._files = files
        self._settings = settings
        self._kept = Band()
        self._class_names = () if files else read_class_names(path)
        if not files and settings.group_column:
            raise no_meaning(settings, "group_column", "which has no table beside it")

    @cached_property
    def _loaded(self) -> _Loaded:
        notes: list[str] = []
        paths = [it for files in self._files for it in files[1:3]] or [self._path]
        contents = read_contents(paths, IMAGES, LABELS)
        if self._files:
            pairs = zip(self._files, contents[::2], contents[1::2], strict=True)
            parts = _check_groups(
                [_read_split(*it, self._settings, notes) for it in pairs], self._settings, notes
            )
        else:
            parts = list(_read_file(contents[0]))
        check_types(self._path, [_pixel_type(part.images.dtype) for part in parts])
        found_labels = {it.split: it.labels for it in parts}
        classes, labels = name_classes(self._path, found_labels, self._class_names)
        items = [
            Item(f"{part.name}[{i}]", label, part.split, part.groups[i] if part.groups else "")
            for part in parts
            for i, label in enumerate(labels[part.split].tolist())
        ]
        return _Loaded(classes, items, [part.images for part in parts], notes)

    @cached_property
    def _starts(self) -> list[int]:
        """Positions of the first images of the parts."""
        return [0, *accumulate(images.shape[0] for images in self._loaded.images)]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._loaded.classes

    @property
    def items(self) -> Sequence[Item]:
        """All images, split by split."""
        return self._loaded.items

    @property
    def warnings(self) -> Sequence[str]:
        """Notes on the groups."""
        return self._loaded.notes

    def identity(self) -> str:
        """Return paths, sizes and modification times of the files, and the names of classes."""
        paths = [it for files in self._files for it in files[1:] if it] or [self._path]
        stats = [(str(it.resolve()), it.stat()) for it in paths]
        facts = (f"{path} {it.st_size} {it.st_mtime_ns}" for path, it in stats)
        return " ".join((*facts, *map(repr, self._class_names)))

    def n_bytes(self, index: int) -> int:
        """Return the size of an image."""
        images, _ = self._find(index)
        return images.image_bytes

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Read an image from its file."""
        images, place = self._find(index)
        try:
            return Decoded(plain_images(images.read(place, self._kept)[None])[0])
        except READ_ERRORS as error:
            return UnreadableImage(describe_read_error(error))

    def _find(self, index: int) -> tuple[StoredImages, int]:
        number = bisect.bisect_right(self._starts, index) - 1
        return self._loaded.images[number], index - self._starts[number]


def _read_file(contents: Contents) -> Iterator[Part]:
    names = contents.names
    pairs = [(split, f"{split}_images", f"{split}_labels") for split in SPLITS]
    pairs = [it for it in pairs if it[1] in names]
    if "train_images" not in names:
        pairs = [("", *it) for it in PAIRS if it[0] in names][:1]
    if not pairs:
        raise _unknown_names(contents)
    for split, name, label_name in pairs:
        if label_name not in names:
            raise _unknown_names(contents)
        yield Part(split, *_find_pair(contents, name, contents, label_name), name)


def _read_split(
    files: SplitFiles,
    images: Contents,
    labels: Contents,
    settings: DataSettings,
    notes: list[str],
) -> Part:
    names, label_names = [it for it, _ in PAIRS], [it for _, it in PAIRS]
    name = next((it for it in names if it in images.names), "")
    label_name = next((it for it in label_names if it in labels.names), "")
    for found, known, contents in ((name, names, images), (label_name, label_names, labels)):
        if not found:
            raise _unknown_names(contents, f"a dataset {' or '.join(map(repr, known))}")
    stored, found_labels = _find_pair(images, name, labels, label_name)
    groups = _read_groups(files, len(found_labels), settings, notes)
    return Part(files.split, stored, found_labels, files.images.name, groups)


def _find_pair(
    images: Contents, name: str, labels: Contents, label_name: str
) -> tuple[StoredImages, NDArray[Any]]:
    """Return checked images, and the label of each."""
    stored = images.find_images(name)
    check_images(name, images.path, stored.shape, stored.dtype)
    stored.check(images.path.stat().st_size)
    found = labels.find_labels(label_name)
    return stored, check_labels(label_name, labels.path, found, name, stored.shape[0])


def _unknown_names(contents: Contents, expected: str = "") -> DataError:
    if contents.is_model:
        return DataError(
            f"Expected a set of images. Received: {contents.path}, which holds the weights of a"
            " network."
        )
    listed = list(contents.listed)
    shown = ", ".join(listed[:-1] if len(listed) > 10 else listed) or "nothing"
    more = ", and more" if len(listed) > 10 else ""
    expected = expected or (
        "datasets 'train_images' and 'train_labels' (with 'val_...' and 'test_...'), 'images' and"
        " 'labels', or 'x' and 'y'"
    )
    return DataError(f"Expected {expected} in {contents.path}. Found: {shown}{more}.")


def _check_groups(parts: list[Part], settings: DataSettings, notes: list[str]) -> list[Part]:
    """Note what may be wrong with groups; those of a guessed column may tell no patients apart."""
    groups = [group for part in parts for group in part.groups]
    labels = [label for part in parts if part.groups for label in part.labels.tolist()]
    if not groups:
        return parts
    # If a class is of one slide, these splits may divide it: then they leak.
    reason = why_not_to_guess(groups, [""] * len(groups))
    if reason and not settings.group_column:
        notes.append(f"the column is not used for groups, since it {reason}")
        return [part._replace(groups=()) for part in parts]
    if reason:
        notes.append(f"the column {settings.group_column!r} {reason}: it tells no patients apart")
    notes += describe_unlikely_groups(groups, labels, "row", "--group-column names another column")
    return parts


def _read_groups(
    files: SplitFiles, n_images: int, settings: DataSettings, notes: list[str]
) -> list[str]:
    """Return the groups of the images from the table beside them; none if there is none."""
    if files.table is None:
        if settings.group_column:
            raise no_meaning(settings, "group_column", f"which has no table of {files.split}")
        notes.append(f"{files.images.name} has no table beside it, so its images have no groups")
        return []
    if settings.group_column == NONE:
        return []
    table = read_table(files.table)
    column = find_group_column(table.columns, settings.group_column)
    if not column:
        notes.append(f"no column of {files.table.name} has groups (--group-column names one)")
        return []
    if len(table.rows) != n_images:
        raise DataError(
            f"Expected a row for each of the {n_images:,} images of {files.images} in"
            f" {files.table}. Received: {len(table.rows):,} rows."
        )
    notes.append(f"groups from the column {column} of {files.table.name}")
    return table.column(column)


def _pixel_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that pixels have when they are read."""
    return np.dtype(np.uint8) if dtype == np.bool_ else dtype
