"""What the folders of a set mean: splits, classes, or something that must not become classes.

Sets that are published have many layouts. What is certain is read; what would give classes that
are none, such as parts of an archive or patients, is an error that says what to do.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from search.data.class_names import check_meaning, check_spelling
from search.data.decode import decoder_warnings
from search.data.file_names import DOCUMENTS, join_names, split_of, words_in
from search.data.groups import find_groups
from search.data.listing import ImageFile, label_hint
from search.data.masks import drop_masks
from search.data.nested_copies import drop_copy
from search.data.parallel_map import map_each
from search.data.read_image import KINDS
from search.errors import DataError

# fmt: off
LABEL_WORDS = frozenset({
    "positive", "negative", "benign", "malignant", "normal", "abnormal", "healthy", "diseased",
})
# fmt: on


class LabeledFile(NamedTuple):
    """An image file with the class and, if the source has any, the split of its folders."""

    file: ImageFile
    split: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Images of a folder with their classes, and notes on what was left out."""

    images: Sequence[LabeledFile]
    notes: Sequence[str]


def read_layout(
    root: Path, files: Sequence[ImageFile], classes: Sequence[str] = (), label_from: str = ""
) -> Layout:
    """Label the images among some files by their folders.

    If `classes` has the names of folders that are classes, others may look like anything: they
    are not used. If a pattern `label_from` finds the classes in paths, only splits are folders.

    Raises:
        DataError: If there are no images in folders of classes, or the folders look like something
            else.
    """
    images, notes = drop_masks([file for file in files if file.is_image])
    if not images:
        raise DataError(
            f"No images in {root}: expected {KINDS} files in a subfolder for each class."
            f" Found: {len(files):,} other files{label_hint(files)}."
        )
    depth = _find_depth(images, notes)
    images, copied = drop_copy(images, depth, classes)
    notes += copied
    finder = _Finder(root, files, depth, classes)
    labeled = finder.label_by(images, label_from) if label_from else finder.label(images)
    n_others = sum(not file.is_image for file in files)
    for n, one, many in (
        (n_others, "file that is not an image was", "files that are not images were"),
        (
            finder.n_outside,
            "image outside the class folders was",
            "images outside class folders were",
        ),
    ):
        if n:
            notes.append(f"{n:,} {one if n == 1 else many} ignored")
    return Layout(labeled, notes)


def _find_depth(images: Sequence[ImageFile], notes: list[str]) -> int:
    """Return how many folders are around everything."""
    depth = 0
    while all(len(file.parts) > depth + 2 for file in images):
        tops = {file.parts[depth] for file in images}
        if len(tops) > 1 or split_of(next(iter(tops))):
            break
        depth += 1
    if depth:
        notes.append(f"everything is in the folder {'/'.join(images[0].parts[:depth])}")
    return depth


class _Finder:
    """Labels images by their folders below those around everything.

    Attributes:
        n_outside: Number of images that are in no folder of a class.
    """

    def __init__(
        self, root: Path, files: Sequence[ImageFile], depth: int, classes: Sequence[str]
    ) -> None:
        self.n_outside = 0
        self._root = root
        self._files = files
        self._depth = depth
        self._classes = classes

    def label(self, images: Sequence[ImageFile]) -> list[LabeledFile]:
        """Label images; those outside of class folders are left out."""
        splits = self._find_splits(images)
        labeled = []
        for file in images:
            split = splits[self._top(file)]
            level = self._depth + bool(split)
            if len(file.parts) > level + 1:
                labeled.append(LabeledFile(file, split, file.parts[level]))
        self.n_outside = len(images) - len(labeled)
        if not labeled:
            raise DataError(
                f"Expected every image in a folder named for its class. Received: {len(images):,}"
                f" images directly in {self._root}, such as {images[0].name}"
                f"{label_hint(self._files)}."
            )
        if not self._classes:
            names = {image.class_name for image in labeled}
            check_spelling(names)
            check_meaning(names, label_hint(self._files))
            self._check_unread(labeled, any(splits.values()))
            self._check_sets_inside(labeled)
            self._check_hidden_labels(labeled)
        labeled = self._read_inner_splits(labeled)
        return self._drop_lone_train_split(labeled)

    def label_by(self, images: Sequence[ImageFile], pattern: str) -> list[LabeledFile]:
        """Label images by what a pattern matches in their paths; top folders may be splits."""
        without = self._without_image([it for it in images if not re.search(pattern, it.name)])
        labeled = [file for file in images if file.name not in without]
        found = find_groups([file.name for file in labeled], pattern, "--label-from")
        check_spelling(set(found))
        classes = dict(zip((file.name for file in labeled), found, strict=True))
        splits = {top: split_of(top) for top in map(self._top, images)}
        others = {it.parts[self._depth] for it in images if not splits[self._top(it)]}
        if others and any(splits.values()):
            raise self._mixed([top for top, split in splits.items() if split], others)
        return self._drop_lone_train_split(
            [
                LabeledFile(file, splits[self._top(file)], classes.get(file.name, ""))
                for file in images
            ]
        )

    def _without_image(self, files: Sequence[ImageFile]) -> set[str]:
        """Return the names of DICOM files that hold something else, such as a report."""
        names = [file.name for file in files if file.is_dicom]
        if not names:
            return set()
        from search.data.dicom.header import NoImage, read_header

        with decoder_warnings():
            headers = list(map_each(read_header, [f"{self._root}/{name}" for name in names]))
        found = zip(names, headers, strict=True)
        return {name for name, header in found if isinstance(header, NoImage)}

    def _top(self, file: ImageFile) -> str:
        return file.parts[self._depth] if len(file.parts) > self._depth + 1 else ""

    def _find_splits(self, images: Sequence[ImageFile]) -> dict[str, str]:
        """Return the split of each top folder, empty for classes."""
        inner = defaultdict(set)
        for file in images:
            inner[self._top(file)].add(len(file.parts) > self._depth + 2)
        tops = {top: split_of(top) for top in inner if top not in {"", *self._classes}}
        flat = sorted(top for top, split in tops.items() if split and True not in inner[top])
        nested = {top for top, split in tops.items() if split} - set(flat)
        others = {top for top, split in tops.items() if not split}
        others |= inner.keys() & set(self._classes)
        if nested and others:
            raise self._mixed(nested, others)
        if self._classes and not nested:
            return dict.fromkeys(["", *inner], "")
        if flat and (nested or others):
            raise DataError(
                f"The folder {flat[0]!r} beside {join_names(nested or others)} holds images"
                f" without classes, as a test set without labels does. Leave it out with --exclude"
                f" {flat[0]!r}, or, if it is a class, name all classes with --classes."
            )
        if flat:
            raise DataError(
                f"Expected folders of classes in {join_names(flat)}. Received: images, such as"
                f" {images[0].name}{label_hint(self._files)}."
            )
        return {**dict.fromkeys(["", *self._classes], ""), **tops}

    def _mixed(self, splits: Collection[str], others: Collection[str]) -> DataError:
        """Return the error for folders of splits beside others."""
        return DataError(
            f"Expected either class folders or split folders in {self._root}, not both."
            f" Received: the splits {join_names(splits)} beside {join_names(others)}. If some are"
            f" not part of the set, leave them out: --exclude {sorted(others)[0]!r}"
        )

    def _check_unread(self, labeled: Sequence[LabeledFile], has_splits: bool) -> None:
        """Raise an error if a folder beside those of classes may hold a class without images."""
        level = self._depth + has_splits
        around = labeled[0].file.parts[: self._depth]
        with_images = {image.class_name for image in labeled}
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for file in self._files:
            is_inside = len(file.parts) > level + 1 and file.parts[: self._depth] == around
            if is_inside and (not has_splits or split_of(file.parts[self._depth])):
                found[file.parts[level]][file.extension] += 1
                if file.is_image:  # Perhaps a mask, which is no image of a class.
                    with_images.add(file.parts[level])
        unread = {
            name: (extension, n)
            for name in sorted(found.keys() - with_images)
            for extension, n in found[name].most_common(1)
            if extension not in DOCUMENTS
        }
        if not unread:
            return
        name, (extension, n) = next(iter(unread.items()))
        kind = f"{extension or 'extensionless'} file{'s' * (n > 1)}"
        others = f" (so do others: {join_names(list(unread)[1:])})" if len(unread) > 1 else ""
        raise DataError(
            f"The folder {name!r} beside those of classes holds {n:,} {kind}, which cannot be"
            f" read, and no {KINDS} files{others}. If it is a class, convert them; if not, leave"
            f" it out: --exclude {','.join(unread)!r}"
        )

    def _check_sets_inside(self, labeled: Sequence[LabeledFile]) -> None:
        """Raise an error if a folder has folders of the names that are beside it."""
        below: dict[str, set[str]] = defaultdict(set)
        for image in labeled:
            parts = image.file.parts
            level = self._depth + bool(image.split)
            below[image.class_name].add(parts[level + 1] if len(parts) > level + 2 else "")
        for name, inner in below.items():
            if len(inner) > 1 and inner <= below.keys() - {name}:
                raise DataError(
                    f"The folder {name!r} has folders of the names that are beside it:"
                    f" {join_names(inner)}. Search in one of both, or leave it out:"
                    f" --exclude {name!r}"
                )

    def _check_hidden_labels(self, labeled: Sequence[LabeledFile]) -> None:
        """Raise an error if the folders below several classes are named for classes."""
        places = defaultdict(set)
        for image in labeled:
            level = self._depth + bool(image.split) + 1
            for folder in image.file.parts[level:-1]:
                for word in LABEL_WORDS.intersection(words_in(folder)):
                    places[word].add(image.class_name)
        words = {word for word, names in places.items() if len(names) > 1}
        if len(words) > 1:
            names = {image.class_name for image in labeled}
            raise DataError(
                f"Below the folders {join_names(names)} are others that are named"
                f" {join_names(words)}, which look like the classes. If they are, find them in"
                f" the paths: --label-from '({'|'.join(sorted(words))})'. If the folders above"
                " them are meant, name those with --classes."
            )

    def _read_inner_splits(self, labeled: list[LabeledFile]) -> list[LabeledFile]:
        """Read folders of splits in the folders of classes, as `NORMAL/train`."""
        if any(image.split for image in labeled):
            return labeled
        inner = [
            split_of(image.file.parts[self._depth + 1])
            if len(image.file.parts) > self._depth + 2
            else ""
            for image in labeled
        ]
        if not any(inner):
            return labeled
        if not all(inner):
            outside = next(i for i, split in zip(labeled, inner, strict=True) if not split)
            raise DataError(
                "Expected every image in a folder of a split, as others of its class are."
                f" Received: {outside.file.name}."
            )
        return [i._replace(split=split) for i, split in zip(labeled, inner, strict=True)]

    def _drop_lone_train_split(self, labeled: list[LabeledFile]) -> list[LabeledFile]:
        splits = {image.split for image in labeled}
        if splits == {"train"}:  # Split like a source without splits.
            return [image._replace(split="") for image in labeled]
        if splits and splits <= {"val", "test"}:
            raise DataError(
                f"Expected a folder 'train' in {self._root}. Received: {join_names(splits)}."
            )
        return labeled
