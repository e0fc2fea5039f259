"""Downloading a public set: its `.npz`, and beside it its license and the names of its classes."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.data.cache import default_cache_dir, make_cache_folder
from search.data.listed_class_names import class_names_path
from search.data.public_sets import PublicSet, citations, homepage
from search.data.source_api import Progress
from search.errors import DataError, FetchError
from spaces.downloads import Download, check_url, download, has_hash
from spaces.errors import DownloadError
from storage.file_rights import READ_WRITE, rights_of

MIRROR_VARIABLE = "CONVSEARCH_SETS_URL"
SLACK_BYTES = 16 * 2**20
"""Of a file above its unpacked pixels: labels, headers, and blocks that do not pack."""


@dataclass(frozen=True, slots=True)
class FetchedSet:
    """A public set on this machine.

    Attributes:
        url: The address that it is or would be downloaded from.
        was_downloaded: Whether it was not here yet.
    """

    public_set: PublicSet
    size: int
    path: Path
    url: str
    was_downloaded: bool

    @property
    def license_path(self) -> Path:
        """The path of a text with the license, and with what to cite."""
        return self.path.with_suffix(".license.txt")

    def to_json(self) -> dict[str, Any]:
        """Return the document of `data fetch --json`."""
        found = self.public_set
        return {
            "name": found.name,
            "size": self.size,
            "path": str(self.path),
            "url": self.url,
            "md5": found.md5[self.size],
            "downloaded": self.was_downloaded,
            "classes": list(found.classes),
            "counts": dict(found.counts),
            "license": found.license,
            "license_url": found.license_url,
            "license_path": str(self.license_path),
            "source": found.source,
            "citations": list(citations()),
        }


def default_folder() -> Path:
    """Return the folder of public sets in the cache."""
    return default_cache_dir() / "sets"


def default_mirror() -> str | None:
    """Return the address of the mirror that `$CONVSEARCH_SETS_URL` names."""
    return os.environ.get(MIRROR_VARIABLE) or None


def fetch_set(
    public_set: PublicSet,
    size: int,
    folder: Path,
    *,
    mirror: str | None = None,
    progress: Progress = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
) -> FetchedSet:
    """Download a public set unless it is in a folder already, as its checksum tells.

    `say` is called with a sentence when a download begins, waits, or is continued.

    Raises:
        DataError: If the mirror is no URL.
        FetchError: If it cannot be downloaded or written; the message names the URL and the path.
    """
    url = public_set.url(size, mirror)
    try:
        check_url(url)
    except DownloadError as error:
        raise DataError(f"--url: {error}. Received: {mirror}") from error
    path = folder / public_set.file_name(size)
    wanted = Download(
        url,
        path,
        is_intact=lambda it: has_hash(it, public_set.md5[size]),
        max_bytes=public_set.pixel_bytes(size) + SLACK_BYTES,
        progress=progress,
        say=say,
    )
    try:
        was_downloaded = _download(wanted)
        fetched = FetchedSet(public_set, size, path, url, was_downloaded)
        _write_text(class_names_path(path), "\n".join(public_set.classes) + "\n")
        _write_text(fetched.license_path, _license_text(fetched))
    except DownloadError as error:
        raise FetchError(
            f"Cannot download {url}: {error}.\nRun the command again, or bring that file to"
            f" {path} by hand; --url names a mirror."
        ) from error
    except OSError as error:
        raise FetchError(
            f"Cannot use the folder {folder}: {error.strerror or error}."
            " Name another one with --to."
        ) from error
    return fetched


def _download(wanted: Download) -> bool:
    folder = wanted.path.parent
    make_cache_folder(folder)
    return download(replace(wanted, rights=READ_WRITE & rights_of(folder)))


def _write_text(path: Path, text: str) -> None:
    """Write a small file, unless it is as it should be."""
    from storage.atomic_files import atomic_write

    content = text.encode()
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def _license_text(fetched: FetchedSet) -> str:
    found = fetched.public_set
    return "\n".join(
        (
            f"{fetched.path.name}: {found.about}",
            f"Published by MedMNIST, {homepage()}",
            f"Made from: {found.source}",
            f"Downloaded from: {fetched.url}",
            f"License: {found.license}, {found.license_url}",
            "Its publisher says that it is not for clinical use.",
            "",
            "Cite the set that it was made from, and:",
            *citations(),
            "",
        )
    )
