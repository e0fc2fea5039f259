"""Finding the files that a manifest names: by path, by name anywhere, or by their DICOM UID."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from search.data.decode import decoder_warnings
from search.data.identifiers import is_uid
from search.data.image_files import FileOnDisk
from search.data.listing import ImageFile, is_excluded, list_files
from search.data.parallel_map import map_each
from search.data.path_ends import PathEnds
from search.data.read_image import EXTENSIONS
from search.data.source_api import Progress

EXCLUDED = "it is left out by --exclude"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
UID_TAGS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
"""Tags that identify an image, or all images of a series or study."""


class FileFinder:
    """Finds image files below a folder, which is listed only if a path does not lead to one.

    Attributes:
        outside: Names of found files that are not below the folder.
        by_name: Names of files that were found by name in another folder than the path says.
        by_uid: Names of files that were found by a UID in their headers.
    """

    def __init__(
        self, root: Path, exclude: Sequence[str] = (), progress: Progress | None = None
    ) -> None:
        self.outside = set[str]()
        self.by_name = set[str]()
        self.by_uid = set[str]()
        self._progress = progress
        self._root = root
        self._exclude = exclude

    def find(self, name: str) -> list[FileOnDisk] | str:
        """Return the file that a name means, or the reason why there is none.

        A file in another folder is meant if its path ends like the name. If the name has no
        folder, or those of another machine, it is meant if no other file has its name. A UID that
        is the name of no file means the DICOM files that have it, of a series several.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        if is_excluded(path.parts, self._exclude):
            return EXCLUDED
        direct = self._stat(path)
        if direct is not None:
            resolved = (self._root / path).resolve()
            if not resolved.is_relative_to(self._root.resolve()):
                self.outside.add(str(path))
            return [direct]
        is_foreign = path.is_absolute() or _DRIVE.match(name) is not None
        below = self._ending_like(path)
        is_anywhere = is_foreign or len(path.parts) == 1
        found = below or (self._named(path.name) if is_anywhere else [])
        if len(found) > 1:
            return f"{len(found)} files have this name, such as {found[0].name}"
        if found and not below and len(path.parts) > 1:
            self.by_name.add(found[0].name)
        elif not found and is_uid(name):
            found = self._by_uid.get(name, [])
            self.by_uid.update(it.name for it in found)
        if not found:
            return "there is no such file"
        return [FileOnDisk(it.name, it.size, it.modified_ns) for it in found]

    def _stat(self, path: PurePosixPath) -> FileOnDisk | None:
        try:
            found = (self._root / path).stat()
        except (OSError, ValueError):
            return None
        is_file = os.path.isfile(self._root / path)  # noqa: PTH113
        return FileOnDisk(str(path), found.st_size, found.st_mtime_ns) if is_file else None

    @cached_property
    def _files(self) -> list[ImageFile]:
        return list_files(self._root, self._exclude).files

    @cached_property
    def _by_uid(self) -> dict[str, list[ImageFile]]:
        """The DICOM files below the folder by their UIDs."""
        from search.data.dicom.header import Header, read_header

        files = [file for file in self._files if file.is_dicom]
        paths = [f"{self._root}/{file.name}" for file in files]
        found: dict[str, list[ImageFile]] = defaultdict(list)
        with decoder_warnings():
            headers = map_each(lambda path: read_header(path, UID_TAGS), paths, self._progress)
            for file, header in zip(files, headers, strict=True):
                if isinstance(header, Header):
                    for uid in {header.value(tag) for tag in UID_TAGS}:
                        found[uid].append(file)
        return found

    def _named(self, name: str) -> list[ImageFile]:
        """Return the files of a name, with or without their extension, in any folder."""
        ends, files = self._names
        found = ends.find((name,))
        if not found:
            ends, files = self._stems
            found = ends.find((name,))
        return [files[it] for it in found]

    def _ending_like(self, path: PurePosixPath) -> list[ImageFile]:
        """Return the files whose folders are the last ones of a path, or the other way round."""
        for ends, files in (self._names, self._stems):
            found = [files[it] for it in ends.find(path.parts)]
            if len(path.parts) > 1 and (below := [it for it in found if len(it.parts) > 1]):
                return below
        return []

    @cached_property
    def _names(self) -> tuple[PathEnds, list[ImageFile]]:
        return PathEnds(file.parts for file in self._files), self._files

    @cached_property
    def _stems(self) -> tuple[PathEnds, list[ImageFile]]:
        """The files that are images by their names, found without their extensions."""
        files = [file for file in self._files if file.extension in EXTENSIONS]
        stems = ((*it.parts[:-1], it.parts[-1][: -len(it.extension)]) for it in files)
        return PathEnds(stems), files
