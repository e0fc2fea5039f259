"""Listing of the files below a folder; `layout` says what their folders mean."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from search.data.file_names import extension_of
from search.data.read_image import EXTENSIONS, is_dicom, may_be_dicom
from search.data.volumes.volume import EXTENSIONS as VOLUMES
from search.errors import DataError

SYSTEM_NAMES = frozenset({
    "__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "ehthumbs.db", "desktop.ini",
})  # fmt: skip
"""Of folders and files that systems and network drives add; hidden ones begin with a dot."""


LABEL_FILES = frozenset({".csv", ".tsv", ".xlsx", ".xls", ".parquet"})
MAX_FILES = 5_000_000
MAX_DEPTH = 100


class ImageFile(NamedTuple):
    """A file below a source; a tuple, since there are thousands of them.

    Attributes:
        parts: Its path below the source.
        size: In bytes.
        modified_ns: Its modification time in nanoseconds.
        extension: That of its name, in lower case with its dot; empty if there is none.
        is_dicom: Whether it is DICOM, by its name or content.
    """

    parts: tuple[str, ...]
    size: int
    modified_ns: int
    extension: str
    is_dicom: bool = False

    @property
    def stem(self) -> str:
        """The name of the file without its extension."""
        name = self.parts[-1]
        return name[: len(name) - len(self.extension)]

    @property
    def is_volume(self) -> bool:
        """Whether it is NIfTI or a MetaImage, by its name."""
        return self.extension in VOLUMES

    @property
    def is_image(self) -> bool:
        """Whether it is an image that can be read, by its name, or DICOM."""
        return self.is_dicom or self.extension in EXTENSIONS

    @property
    def name(self) -> str:
        """The path with slashes, the same on every system."""
        return "/".join(self.parts)


@dataclass(slots=True)
class FileListing:
    """Files below a folder in the order of their paths, what was left out, and empty folders."""

    files: list[ImageFile] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)
    broken_links: list[str] = field(default_factory=list)
    n_excluded: int = 0


def list_files(root: Path, exclude: Sequence[str] = ()) -> FileListing:
    """List the files below a folder, without hidden ones and those of systems.

    Links are followed. A file or folder whose path below `root`, or whose name, matches one of the
    patterns `exclude` is left out; the patterns are those of a shell.

    Raises:
        DataError: If a folder cannot be read.
    """
    listing = FileListing()
    try:
        for file in _walk(root, (), (_identity(root),), exclude, listing):
            listing.files.append(file)
            if len(listing.files) > MAX_FILES:
                raise DataError(f"Expected at most {MAX_FILES:,} files in {root}.")
    except OSError as error:
        raise DataError(f"Cannot list {error.filename or root}: {error.strerror}.") from error
    listing.files.sort(key=lambda file: file.parts)
    return listing


def _walk(
    folder: Path,
    parts: tuple[str, ...],
    above: tuple[tuple[int, int], ...],
    exclude: Sequence[str],
    listing: FileListing,
) -> Iterator[ImageFile]:
    """Yield the files; `above` identifies the folders on the way, which links may lead back to."""
    if len(parts) > MAX_DEPTH:
        raise DataError(f"Expected folders at most {MAX_DEPTH} deep. Received: {folder}.")
    is_empty = True
    with os.scandir(folder) as entries:
        for entry in entries:
            is_empty = False
            here = (*parts, entry.name)
            if entry.name.startswith(".") or entry.name.lower() in SYSTEM_NAMES:
                continue
            if is_excluded(here, exclude):
                listing.n_excluded += 1
            elif _leads_nowhere(entry):
                listing.broken_links.append("/".join(here))
            elif entry.is_dir():
                identity = _identity(Path(entry.path))
                if identity not in above:
                    inner = (*above, identity)
                    yield from _walk(Path(entry.path), here, inner, exclude, listing)
            elif entry.is_file():  # Neither a pipe nor a socket or device.
                stat = entry.stat()
                is_dicom_file = may_be_dicom(entry.name) and is_dicom(entry.path)
                extension = extension_of(entry.name)
                yield ImageFile(here, stat.st_size, stat.st_mtime_ns, extension, is_dicom_file)
    if is_empty and parts:
        listing.empty_folders.append("/".join(parts))


def _leads_nowhere(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a link to something that is missing, or to itself."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError:
        return True
    return False


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def is_excluded(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a path, or its last part, matches a pattern."""
    path = "/".join(parts)
    return any(fnmatchcase(path, it) or fnmatchcase(parts[-1], it) for it in patterns)


def label_hint(files: Iterable[ImageFile]) -> str:
    """Return a hint at a table beside the images, which may have their labels."""
    found = [file.name for file in files if file.extension in LABEL_FILES]
    nearest = sorted(found, key=lambda name: (name.count("/"), name))
    return f" (perhaps {nearest[0]} says what they are)" if nearest else ""
