"""The kinds of artifact store, chosen by URL: a folder, the study's database, or S3."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from search.artifacts.database import DatabaseArtifacts
from search.artifacts.folder import FolderArtifacts
from search.artifacts.s3 import S3Artifacts
from search.artifacts.transfer_progress import ByteCallback
from search.errors import SettingsError
from storage import Store

DATABASE = "database"
S3 = "s3://"
KNOWN = "a folder, `database`, or s3://BUCKET/PREFIX"


class ArtifactStore(Protocol):
    """Files by name, such as `STUDY/trial-3.0.safetensors`.

    Every method raises `ArtifactError` if the artifact store cannot be used.
    """

    @property
    def folder(self) -> Path | None:
        """The folder with the files under their names, if the artifact store is a folder."""

    def put(self, name: str, path: Path, on_bytes: ByteCallback | None = None) -> None:
        """Upload a file atomically; slow stores call `on_bytes` with the bytes of each part."""

    def get(self, name: str, path: Path) -> bool:
        """Download a file to a path atomically; return False if there is none."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; missing ones are ignored."""

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the names of the files directly in a folder, and their sizes in bytes."""


def read_artifacts_url(text: str) -> str:
    """Return the value of `--artifacts` as a study records it, with an absolute path.

    Raises:
        SettingsError: If it is of an unknown kind, or has credentials.
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
    return str(Path(os.path.expanduser(text)).resolve())  # noqa: PTH111


def is_folder(url: str) -> bool:
    """Whether a recorded URL is a folder."""
    return url != DATABASE and not url.startswith(S3)


def open_artifact_store(url: str, store: Store, *, max_bytes: int) -> ArtifactStore:
    """Open the artifact store of a recorded URL, without any access to it yet.

    `max_bytes` limits the total size of the files in a database.
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
