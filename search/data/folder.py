"""Images from a folder with a sub-folder a class, optionally below `train`, `val` and `test`.

Hidden files and folders are skipped. Links to files are followed while they stay within the
folder; links to folders are not.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from search.data.decode import EXTENSIONS, UNREADABLE, decode, to_uint8
from search.data.pixels import look_at, resize, stack, to_grey
from search.data.settings import DataSettings
from search.data.source import Broken, Images, Item, Look
from search.errors import DataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

FILES_A_TASK = 16


@dataclass(frozen=True, slots=True)
class _File:
    """A file found below a source: its path relative to it, and what shows that it changed."""

    parts: tuple[str, ...]
    size: int
    modified_ns: int

    @property
    def name(self) -> str:
        return "/".join(self.parts)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An image file with the split, if the source has any, and the class of its folders."""

    file: _File
    split: str
    class_name: str


def open_folder(root: Path, settings: DataSettings) -> "FolderSource":
    """Lists a folder of images.

    Raises:
        DataError: If it holds no images in class folders, or mixes classes with splits.
    """
    links_out: list[str] = []
    try:
        files = sorted(_walk(root, root.resolve(), (), links_out), key=lambda file: file.parts)
    except OSError as error:
        raise DataError(f"Cannot list {error.filename or root}: {error.strerror}.") from error
    images = [file for file in files if Path(file.name).suffix.lower() in EXTENSIONS]
    if not images:
        raise DataError(
            f"No images in {root}: expected PNG, JPEG, BMP or TIFF files in a sub-folder for each"
            f" class. Found: {len(files):,} other files."
        )
    placed = _place(root, images)
    left_out = {
        "files that are not images were ignored": len(files) - len(images),
        "images outside the class folders were ignored": len(images) - len(placed),
        "links that lead out of the folder were not followed": len(links_out),
    }
    notes = [f"{count:,} {what}" for what, count in left_out.items() if count]
    return FolderSource(root, placed, notes, settings)


def _walk(
    folder: Path, root: Path, parts: tuple[str, ...], links_out: list[str]
) -> Iterator[_File]:
    with os.scandir(folder) as entries:
        for entry in entries:
            here = (*parts, entry.name)
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), root, here, links_out)
            elif entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                links_out.append(entry.path)
            elif entry.is_file():  # neither a linked folder nor a pipe, socket or device
                stat = entry.stat()
                yield _File(here, stat.st_size, stat.st_mtime_ns)


class FolderSource:
    """Image files, decoded once and in parallel.

    Threads do it: Pillow decodes and resizes without holding Python's lock, and for small images,
    where it does hold it, starting processes takes longer than decoding thousands of them.
    """

    kind = "folder"

    def __init__(
        self,
        root: Path,
        placed: Sequence[_Placed],
        notes: Sequence[str],
        settings: DataSettings,
    ) -> None:
        self.warnings = notes
        self.classes = tuple(sorted({image.class_name for image in placed}))
        labels = {name: label for label, name in enumerate(self.classes)}
        self.items: Sequence[Item] = [
            Item(image.file.name, labels[image.class_name], image.split) for image in placed
        ]
        self._files = [image.file for image in placed]
        self._paths = [os.path.join(root, file.name) for file in self._files]  # noqa: PTH118
        self._size = settings.image_size
        self._color = settings.color
        self._pixels: dict[int, NDArray[np.uint8]] = {}

    def identity(self) -> str:
        """Paths, sizes and modification times of the image files, hashed."""
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(repr((file.parts, file.size, file.modified_ns)).encode())
        return digest.hexdigest()

    def look(
        self, indices: Sequence[int], tick: Callable[[], None], *, keep_pixels: bool = True
    ) -> list[Look | Broken]:
        """Decodes the files at `indices` and keeps their resized pixels for `images`."""
        tasks = [indices[i : i + FILES_A_TASK] for i in range(0, len(indices), FILES_A_TASK)]
        looks: list[Look | Broken] = []
        with _pillow_warnings_as_meant(), ThreadPoolExecutor(os.cpu_count()) as pool:
            for task in pool.map(partial(self._look_at_some, keep_pixels=keep_pixels), tasks):
                for look in task:
                    looks.append(look)
                    tick()
        return looks

    def images(self, indices: Sequence[int], channels: int) -> Images:
        """Pixels of files that were looked at, resized, with 1 or 3 channels."""
        return stack([self._pixels[i] for i in indices], self._size, channels)

    def _look_at_some(self, indices: Sequence[int], *, keep_pixels: bool) -> list[Look | Broken]:
        return [self._look_at(index, keep_pixels=keep_pixels) for index in indices]

    def _look_at(self, index: int, *, keep_pixels: bool) -> Look | Broken:
        try:
            pixels = decode(self._paths[index])
            look = look_at(pixels)
            resized = self._resized(to_uint8(pixels), look)
        except DataError:
            raise
        except UNREADABLE as error:
            return Broken(_reason(error))
        if keep_pixels:
            self._pixels[index] = resized
        return look

    def _resized(self, pixels: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
        as_grey = self._color == "grey" or (self._color == "auto" and not look.has_color)
        return resize(to_grey(pixels) if as_grey else pixels, self._size)


@contextmanager
def _pillow_warnings_as_meant() -> Iterator[None]:
    """Makes Pillow's warning of a bomb an error, and silences what it says of damaged tags."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a PNG, JPEG, BMP or TIFF image that can be read"
    return str(error) or type(error).__name__


def _place(root: Path, files: Sequence[_File]) -> list[_Placed]:
    """Gives each file the split and the class of the folders it lies in; others are left out."""
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    splits = {file.parts[0] for file in files if len(file.parts) > 2 and _split_of(file)}
    if splits and tops - splits:
        raise DataError(
            f"Expected either class folders or split folders in {root}, not both. Received: the"
            f" splits {_listed(splits)} beside {_listed(tops - splits)}."
        )
    depth = 1 if splits else 0
    placed = [
        _Placed(file, _split_of(file) if splits else "", file.parts[depth])
        for file in files
        if len(file.parts) > depth + 1
    ]
    if not placed:
        raise DataError(
            f"Expected every image in a folder named for its class. Received: {len(files):,}"
            f" images directly in {root}, such as {files[0].name}."
        )
    return _as_one_if_only_train(root, placed)


def _split_of(file: _File) -> str:
    return SPLIT_NAMES.get(file.parts[0].lower(), "")


def _as_one_if_only_train(root: Path, placed: list[_Placed]) -> list[_Placed]:
    splits = {image.split for image in placed}
    if splits == {"train"}:  # nothing to keep apart: splits are cut as if it were not there
        return [replace(image, split="") for image in placed]
    if splits <= {"val", "test"}:
        raise DataError(f"Expected a folder 'train' in {root}. Received: {_listed(splits)}.")
    return placed


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(map(repr, shown[:6])) + (", ..." if len(shown) > 6 else "")
