"""The kinds of artifact store, chosen by URL: a folder, the database itself, or S3."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from search.artifacts.database import DatabaseArtifacts
from search.artifacts.folder import FolderArtifacts
from search.artifacts.progress import ByteCallback
from search.artifacts.s3 import S3Artifacts
from search.errors import SettingsError
from storage import Store

DATABASE = "database"
S3 = "s3://"
KNOWN = "a folder, `database`, or s3://BUCKET/PREFIX"


class ArtifactStore(Protocol):
    """Files by name; a name is a path of plain words, `STUDY/trial-3.0.safetensors`.

    Every method raises `ArtifactError` when the place cannot be used.
    """

    @property
    def folder(self) -> Path | None:
        """The folder that holds the files under their names, if it is one of this machine."""

    def put(self, name: str, path: Path, on_bytes: ByteCallback | None = None) -> None:
        """Keep a file; a reader sees the whole of it, or the whole of the one before.

        Where that takes long, `on_bytes` is told the bytes of each part as it goes.
        """

    def get(self, name: str, path: Path) -> bool:
        """Write a file to a path, whole or not at all, or gives False when there is none."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that are not there are as good as deleted."""

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The names of the files directly in a folder, and their sizes in bytes."""


def read_artifacts_url(text: str) -> str:
    """Return what a study records of `--artifacts`: the same place, seen from any folder.

    Raises:
        SettingsError: If it names a place of an unknown kind, or holds credentials.
    """
    if text in {DATABASE, "store"}:
        return DATABASE
    if text.startswith(S3):
        return _read_s3(text)
    if "://" in text:
        kind = text.partition("://")[0]
        raise SettingsError(f"--artifacts: expected {KNOWN}. Received: {kind}://...")
    if not text.strip():
        raise SettingsError(f"--artifacts: expected {KNOWN}. Received: nothing.")
    return str(Path(text).expanduser().resolve())


def is_folder(url: str) -> bool:
    """Whether a recorded place is a folder."""
    return url != DATABASE and not url.startswith(S3)


def open_artifact_store(url: str, store: Store, *, max_bytes: int) -> ArtifactStore:
    """Open the artifact store of a recorded place; nothing is read or made yet.

    Args:
        url: As `read_artifacts_url` gives it.
        store: The study's store, for files in the database.
        max_bytes: What all files in the database may take.
    """
    if url == DATABASE:
        return DatabaseArtifacts(store, max_bytes)
    if url.startswith(S3):
        bucket, _, prefix = url.removeprefix(S3).partition("/")
        return S3Artifacts(bucket, prefix)
    return FolderArtifacts(Path(url))


def _read_s3(text: str) -> str:
    bucket, _, prefix = text.removeprefix(S3).partition("/")
    if "@" in bucket or ":" in bucket or "?" in text:
        raise SettingsError(
            "--artifacts: expected s3://BUCKET/PREFIX without credentials. Give these, and an "
            "endpoint, in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL."
        )
    if not bucket:
        raise SettingsError(f"--artifacts: expected s3://BUCKET/PREFIX. Received: {text}")
    return S3 + "/".join([bucket, *filter(None, prefix.split("/"))])
