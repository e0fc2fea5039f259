"""What the folders of a set mean: splits, classes, or something that must not become classes.

Sets that are published have many layouts. What is certain is read; what would give classes that
are none, such as parts of an archive or patients, is an error that says what to do.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from search.data.listing import ImageFile, label_hint
from search.data.masks import drop_masks
from search.data.names import differing_in_case, split_of, words_in
from search.data.read_image import KINDS
from search.errors import DataError
from spaces.wording import plural

# fmt: off
LABEL_WORDS = frozenset({
    "positive", "negative", "benign", "malignant", "normal", "abnormal", "healthy", "diseased",
})
UNREADABLE_IMAGES = frozenset({
    "", ".gz", ".nrrd", ".webp", ".jp2", ".j2k",
    ".gif", ".heic", ".avif", ".tga", ".svs", ".ndpi", ".npy", ".mat", ".h5", ".hdf5", ".zip",
})
# fmt: on
_PART = re.compile(r"(.*?)(?:images?|imgs?|part|archive|batch|chunk|disk|vol|volume)[\s_-]*\d+")
_PATIENT = re.compile(
    r"(?:patient|pat|subject|subj|sub|case|person|id|p|s)[\s_-]*\d+|\d{4,}", re.IGNORECASE
)
MANY_CLASSES, N_NAMES = 10, 6


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


def read_layout(root: Path, files: Sequence[ImageFile], classes: Sequence[str] = ()) -> Layout:
    """Label the images among some files by their folders.

    If `classes` has the names of folders that are classes, others may look like anything: they
    are not used.

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
    finder = _Finder(root, files, depth, classes)
    labeled = finder.label(images)
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
    return Layout(labeled, notes + finder.notes)


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
        notes: What was left out in words.
        n_outside: Number of images that are in no folder of a class.
    """

    def __init__(
        self, root: Path, files: Sequence[ImageFile], depth: int, classes: Sequence[str]
    ) -> None:
        self.notes: list[str] = []
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
            self._check_names({image.class_name for image in labeled})
            self._check_unread(labeled, any(splits.values()))
            labeled = self._drop_copy(labeled)
            self._check_hidden_labels(labeled)
        labeled = self._read_inner_splits(labeled)
        return self._drop_lone_train_split(labeled)

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
            raise DataError(
                f"Expected either class folders or split folders in {self._root}, not both."
                f" Received: the splits {_join(nested)} beside {_join(others)}. If some are not"
                f" part of the set, leave them out: --exclude {sorted(others)[0]!r}"
            )
        if self._classes and not nested:
            return dict.fromkeys(["", *inner], "")
        if flat and (nested or others):
            raise DataError(
                f"The folder {flat[0]!r} beside {_join(nested or others)} holds images without"
                f" classes, as a test set without labels does. Leave it out with --exclude"
                f" {flat[0]!r}, or, if it is a class, name all classes with --classes."
            )
        if flat:
            raise DataError(
                f"Expected folders of classes in {_join(flat)}. Received: images, such as"
                f" {images[0].name}{label_hint(self._files)}."
            )
        return {**dict.fromkeys(["", *self._classes], ""), **tops}

    def _check_names(self, names: set[str]) -> None:
        for name in sorted(names):
            try:
                name.encode()
            except UnicodeEncodeError:
                shown = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
                raise DataError(
                    f"The name of the folder {shown} is not UTF-8. Rename it: it is the name of a"
                    " class."
                ) from None
        parts = {name: _PART.fullmatch(name.lower()) for name in names}
        prefixes = {found[1] for found in parts.values() if found}
        if len(names) > 1 and all(parts.values()) and len(prefixes) == 1:
            raise DataError(
                f"The folders {_join(names)} look like parts of an archive, not like classes"
                f"{label_hint(self._files)}."
            )
        if len(names) > MANY_CLASSES and all(_PATIENT.fullmatch(name) for name in names):
            raise DataError(
                f"The {len(names)} folders {_join(names)} look like patients, not like classes"
                f"{label_hint(self._files)}. If they are classes, name them with --classes."
            )
        if twins := differing_in_case(names):
            raise DataError(
                f"The folders {_join(twins)} differ in capital letters only. If they are one"
                " class, give them one name."
            )

    def _check_unread(self, labeled: Sequence[LabeledFile], has_splits: bool) -> None:
        """Raise an error if a folder beside those of classes holds images of another kind only."""
        level = self._depth + has_splits
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for file in self._files:
            is_inside = not has_splits or split_of(file.parts[self._depth])
            if len(file.parts) > level + 1 and is_inside:
                found[file.parts[level]][file.extension] += 1
        for name in sorted(found.keys() - {image.class_name for image in labeled}):
            extension, n = found[name].most_common(1)[0]
            if extension in UNREADABLE_IMAGES:
                kind = f"{extension or 'extensionless'} file{'s' * (n > 1)}"
                raise DataError(
                    f"The folder {name!r} holds {n:,} {kind}, which cannot be read beside {KINDS}"
                    " files. Convert them, or leave the class out:"
                    f" --exclude {name!r}"
                )

    def _drop_copy(self, labeled: list[LabeledFile]) -> list[LabeledFile]:
        """Leave out a folder that repeats the folders of classes that it is beside."""
        below: dict[str, set[str]] = defaultdict(set)
        for image in labeled:
            parts = image.file.parts
            level = self._depth + bool(image.split)
            below[image.class_name].add(parts[level + 1] if len(parts) > level + 2 else "")
        for name, inner in below.items():
            if len(inner) > 1 and inner <= below.keys() - {name}:
                rest = [image for image in labeled if image.class_name != name]
                known = {(it.file.parts[self._depth :], it.file.size) for it in rest}
                copied = [image for image in labeled if image.class_name == name]
                if any(
                    (it.file.parts[self._depth + 1 :], it.file.size) not in known for it in copied
                ):
                    raise DataError(
                        f"The folder {name!r} has folders of the names that are beside it:"
                        f" {_join(inner)}. Search in one of both, or leave it out:"
                        f" --exclude {name!r}"
                    )
                self.notes.append(
                    f"{name}/ repeats the folders beside it: its {plural(len(copied), 'image')}"
                    " were left out"
                )
                return rest
        return labeled

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
                f"Below the folders {_join(names)} are others that are named {_join(words)}, which"
                " look like the classes. If the folders above them are meant, name those with"
                " --classes; else list the images with their labels in a table, and name it as the"
                " source."
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
                f"Expected a folder 'train' in {self._root}. Received: {_join(splits)}."
            )
        return labeled


def _join(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(map(repr, shown[:N_NAMES])) + (", ..." if len(shown) > N_NAMES else "")
