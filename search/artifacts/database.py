"""Artifacts in the study's own database."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from search.artifacts.names import check_name
from search.artifacts.transfer_progress import ByteCallback, ProgressReader
from search.errors import ArtifactError
from storage import Store, StoreError, delete_files, get_file, list_files, put_file
from storage.atomic_files import atomic_write


@dataclass(frozen=True, slots=True)
class DatabaseArtifacts:
    """Files in chunks in a table of the store; their total size is at most `max_bytes`."""

    store: Store
    max_bytes: int

    folder: ClassVar[None] = None

    def put(self, name: str, path: Path, on_bytes: ByteCallback | None = None) -> None:
        """Upload a file."""
        with _translated_errors(), ProgressReader(path, on_bytes) as file:
            put_file(self.store, check_name(name), file, max_bytes=self.max_bytes)

    def get(self, name: str, path: Path) -> bool:
        """Download a file to a path; return False if there is none."""
        with _translated_errors(), atomic_write(path) as partial:
            with partial.open("wb") as file:
                is_there = get_file(self.store, check_name(name), file)
            if not is_there:
                partial.unlink()
        return is_there

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        with _translated_errors():
            delete_files(self.store, map(check_name, names))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the names of the files directly in a folder, and their sizes."""
        prefix = f"{check_name(folder)}/" if folder else ""
        with _translated_errors():
            found = list_files(self.store, prefix)
        return {name: size for name, size in found.items() if "/" not in name[len(prefix) :]}


def sizes_by_folder(store: Store) -> Counter[str]:
    """Return the bytes of the files directly in each folder, 0 for one without files.

    Raises:
        ArtifactError: If the database cannot be read.
    """
    totals = Counter[str]()
    with _translated_errors():
        for name, size in list_files(store).items():
            totals[name.rpartition("/")[0]] += size
    return totals


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise ArtifactError(str(error)) from error
    except OSError as error:
        raise ArtifactError(f"Cannot use {error.filename}: {error.strerror}.") from error
