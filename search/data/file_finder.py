"""Finding the files that a manifest names: by path, without extension, or by name anywhere."""

import os
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from search.data.decode import EXTENSIONS
from search.data.image_files import FileOnDisk
from search.data.listing import ImageFile, list_files


class FileFinder:
    """Finds image files below a folder, which is listed only if a path does not lead to one.

    Attributes:
        n_outside: Number of found files that are not below the folder.
    """

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        self.n_outside = 0
        self._root = root
        self._exclude = exclude

    def find(self, name: str) -> FileOnDisk | str:
        """Return the file that a name means, or the reason why there is none."""
        path = PurePosixPath(name.replace("\\", "/"))
        direct = self._stat(path)
        if direct is not None:
            if path.is_absolute() or ".." in path.parts:
                self.n_outside += 1
            return direct
        found = self._by_name.get(path.name) or self._by_stem.get(path.name) or []
        below = [it for it in found if _ends_like(it, path)]
        found = below or found
        if len(found) > 1:
            return f"{len(found)} files have this name, such as {found[0].name}"
        if not found:
            return "there is no such file"
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
    """Whether the folders of a path are the last ones of a file."""
    folders = path.parts[:-1]
    return not folders or file.parts[:-1][-len(folders) :] == folders
