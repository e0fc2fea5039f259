"""Artifacts in a folder, local or shared by several machines."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from search.artifacts.names import check_name
from search.artifacts.transfer_progress import ByteCallback
from search.errors import ArtifactError
from storage.atomic_files import atomic_write
from storage.file_rights import is_readable_as, make_top_folder


@dataclass(frozen=True, slots=True)
class FolderArtifacts:
    """Files in a folder, under their names."""

    folder: Path

    def put(self, name: str, path: Path, on_bytes: ByteCallback | None = None) -> None:
        """Add a file: as a hard link where possible, else as a copy."""
        with self._translated_errors():
            make_top_folder(self.folder)
            with atomic_write(self._path(name)) as partial:
                _link(path, partial)

    def get(self, name: str, path: Path) -> bool:
        """Link or copy a file to a path; return False if there is none."""
        source = self._path(name)
        with self._translated_errors():
            while source.is_file():
                try:
                    with atomic_write(path) as partial:
                        _link(source, partial)
                except FileNotFoundError as error:
                    if Path(error.filename) != source:
                        raise
                else:
                    return True
        return False

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        with self._translated_errors():
            for name in names:
                self._path(name).unlink(missing_ok=True)

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the names of the files directly in a folder, and their sizes."""
        found = {}
        with self._translated_errors():
            for path in self._files(folder):
                name = f"{folder}/{path.name}" if folder else path.name
                with suppress(FileNotFoundError):  # It has just been deleted.
                    found[name] = path.stat().st_size
        return found

    def _files(self, folder: str) -> list[Path]:
        place = self._path(folder) if folder else self.folder
        with suppress(FileNotFoundError):
            return sorted(p for p in place.iterdir() if p.is_file() and p.name[0] != ".")
        return []

    def _path(self, name: str) -> Path:
        return self.folder / check_name(name)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(
                f"Cannot use the artifacts folder {self.folder}: {error.strerror}. "
                "Name another one with --artifacts."
            ) from error


def _link(source: Path, target: Path) -> None:
    if is_readable_as(source, target.parent):
        with suppress(OSError):  # Another disk, another owner, or a file system without links.
            os.link(source, target)
            return
    shutil.copyfile(source, target)
