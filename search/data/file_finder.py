"""Finding the files that a manifest names: by path, without extension, or by name anywhere."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from search.data.image_files import FileOnDisk
from search.data.listing import ImageFile, is_excluded, list_files
from search.data.read_image import EXTENSIONS

EXCLUDED = "it is left out by --exclude"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class FileFinder:
    """Finds image files below a folder, which is listed only if a path does not lead to one.

    Attributes:
        n_outside: Number of found files that are not below the folder.
        n_by_name: Number of files that were found by name in another folder than the path says.
    """

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        self.n_outside = 0
        self.n_by_name = 0
        self._root = root
        self._exclude = exclude

    def find(self, name: str) -> FileOnDisk | str:
        """Return the file that a name means, or the reason why there is none.

        A file in another folder is meant if its path ends like the name. If the name has no
        folder, or those of another machine, it is meant if no other file has its name.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        if is_excluded(path.parts, self._exclude):
            return EXCLUDED
        direct = self._stat(path)
        if direct is not None:
            resolved = (self._root / path).resolve()
            self.n_outside += not resolved.is_relative_to(self._root.resolve())
            return direct
        found = self._by_name.get(path.name) or self._by_stem.get(path.name) or []
        is_foreign = path.is_absolute() or _DRIVE.match(name) is not None
        below = [it for it in found if _ends_like(it, path)]
        found = below or (found if is_foreign or len(path.parts) == 1 else [])
        if len(found) > 1:
            return f"{len(found)} files have this name, such as {found[0].name}"
        if not found:
            return "there is no such file"
        self.n_by_name += not below and len(path.parts) > 1
        return FileOnDisk(found[0].name, found[0].size, found[0].modified_ns)

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
    def _by_name(self) -> dict[str, list[ImageFile]]:
        found = defaultdict(list)
        for file in self._files:
            found[file.parts[-1]].append(file)
        return dict(found)

    @cached_property
    def _by_stem(self) -> dict[str, list[ImageFile]]:
        found = defaultdict(list)
        for file in self._files:
            if file.extension in EXTENSIONS:
                found[file.parts[-1][: -len(file.extension)]].append(file)
        return dict(found)


def _ends_like(file: ImageFile, path: PurePosixPath) -> bool:
    """Whether a file's folders are the last ones of a path, or the other way round."""
    folders, its = path.parts[:-1], file.parts[:-1]
    n = min(len(folders), len(its))
    return n > 0 and folders[-n:] == its[-n:]
