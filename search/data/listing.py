"""Listing of a folder's images, with the split and class that subfolders name.

Hidden files and folders are skipped. Links to files within the folder are followed; links to
folders are not.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from search.data.decode import EXTENSIONS
from search.errors import DataError

# fmt: off
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}
# fmt: on


class ImageFile(NamedTuple):
    """A file below a source: its relative path, size and modification time.

    It is a tuple because there are thousands: a dataclass takes twice the time.
    """

    parts: tuple[str, ...]
    size: int
    modified_ns: int

    @property
    def is_image(self) -> bool:
        """Whether it has the extension of an image."""
        _, dot, extension = self.parts[-1].rpartition(".")
        return dot + extension.lower() in EXTENSIONS

    @property
    def name(self) -> str:
        """The path with slashes, the same on every system."""
        return "/".join(self.parts)


class LabeledFile(NamedTuple):
    """An image file with the class and, if the source has any, the split of its folders."""

    file: ImageFile
    split: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Images of a folder, ordered by path, and notes on what was left out."""

    images: Sequence[LabeledFile]
    notes: Sequence[str]


def list_images(root: Path) -> Listing:
    """List images in class folders; `DataError` if there are none, or splits beside classes."""
    links_out: list[str] = []
    try:
        files = sorted(_walk(root, root.resolve(), (), links_out), key=lambda file: file.parts)
    except OSError as error:
        raise DataError(f"Cannot list {error.filename or root}: {error.strerror}.") from error
    images = [file for file in files if file.is_image]
    if not images:
        raise DataError(
            f"No images in {root}: expected PNG, JPEG, BMP or TIFF files in a subfolder for each"
            f" class. Found: {len(files):,} other files."
        )
    labeled = _label_files(root, images)
    left_out = {
        "files that are not images were ignored": len(files) - len(images),
        "images outside the class folders were ignored": len(images) - len(labeled),
        "links that lead out of the folder were not followed": len(links_out),
    }
    notes = [f"{count:,} {what}" for what, count in left_out.items() if count]
    return Listing(labeled, notes)


def _walk(
    folder: Path, root: Path, parts: tuple[str, ...], links_out: list[str]
) -> Iterator[ImageFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            here = (*parts, entry.name)
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), root, here, links_out)
            elif entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                links_out.append(entry.path)
            elif entry.is_file():  # Neither a linked folder nor a pipe, socket or device.
                stat = entry.stat()
                yield ImageFile(here, stat.st_size, stat.st_mtime_ns)


def _label_files(root: Path, files: Sequence[ImageFile]) -> list[LabeledFile]:
    """Label files by their folders; files outside class folders are left out."""
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    splits = {file.parts[0] for file in files if len(file.parts) > 2 and _split_of(file)}
    if splits and tops - splits:
        raise DataError(
            f"Expected either class folders or split folders in {root}, not both. Received: the"
            f" splits {_join_names(splits)} beside {_join_names(tops - splits)}."
        )
    depth = 1 if splits else 0
    labeled = [
        LabeledFile(file, _split_of(file) if splits else "", file.parts[depth])
        for file in files
        if len(file.parts) > depth + 1
    ]
    if not labeled:
        raise DataError(
            f"Expected every image in a folder named for its class. Received: {len(files):,}"
            f" images directly in {root}, such as {files[0].name}."
        )
    return _drop_lone_train_split(root, labeled)


def _split_of(file: ImageFile) -> str:
    return SPLIT_NAMES.get(file.parts[0].lower(), "")


def _drop_lone_train_split(root: Path, labeled: list[LabeledFile]) -> list[LabeledFile]:
    splits = {image.split for image in labeled}
    if splits == {"train"}:  # Split like a source without splits.
        return [image._replace(split="") for image in labeled]
    if splits <= {"val", "test"}:
        raise DataError(f"Expected a folder 'train' in {root}. Received: {_join_names(splits)}.")
    return labeled


def _join_names(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(map(repr, shown[:6])) + (", ..." if len(shown) > 6 else "")
