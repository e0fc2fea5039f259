"""Artifacts in S3 or a service with its protocol.

boto3 reads credentials, region and endpoint from its usual places; a study records none of them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from search.artifacts.names import check_name
from search.artifacts.transfer_progress import ByteCallback
from search.errors import ArtifactError
from storage.atomic_files import atomic_write

MAX_DELETED = 1000  # The most objects that one request may delete.
NOT_FOUND_CODES = frozenset({"404", "NoSuchKey", "NotFound"})
ERROR_REASONS = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "access denied",
    "403": "access denied",
    "InvalidAccessKeyId": "the access key is unknown",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the credentials have expired",
}


@dataclass(frozen=True, slots=True)
class S3Artifacts:
    """Objects of a bucket whose keys begin with a prefix."""

    bucket: str
    prefix: str

    folder: ClassVar[None] = None

    def put(self, name: str, path: Path, on_bytes: ByteCallback | None = None) -> None:
        """Upload a file. It is opened once, so that all parts are of one version."""
        with self._translated_errors() as client, path.open("rb") as file:
            client.upload_fileobj(file, self.bucket, self._key(name), Callback=on_bytes)

    def get(self, name: str, path: Path) -> bool:
        """Download an object to a path; return False if there is none."""
        from botocore.exceptions import ClientError

        with self._translated_errors() as client, atomic_write(path) as partial:
            try:
                with partial.open("wb") as file:
                    client.download_fileobj(self.bucket, self._key(name), file)
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_FOUND_CODES:
                    raise
                partial.unlink()
                return False
        return True

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects."""
        objects = [{"Key": self._key(name)} for name in names]
        with self._translated_errors() as client:
            for start in range(0, len(objects), MAX_DELETED):
                some = {"Objects": objects[start : start + MAX_DELETED], "Quiet": True}
                answer = client.delete_objects(Bucket=self.bucket, Delete=some)
                for refused in answer.get("Errors", ()):
                    raise self._error(ERROR_REASONS.get(refused["Code"], refused["Message"]))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the names of the objects directly in a folder, and their sizes."""
        prefix = self._key(folder) + "/" if folder else self.prefix and self.prefix + "/"
        found: dict[str, int] = {}
        with self._translated_errors() as client:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    found[self._name(entry["Key"])] = entry["Size"]
        return found

    def _key(self, name: str) -> str:
        check_name(name)
        return f"{self.prefix}/{name}" if self.prefix else name

    def _name(self, key: str) -> str:
        return key.removeprefix(self.prefix + "/") if self.prefix else key

    @contextmanager
    def _translated_errors(self) -> Iterator[Any]:
        """Yield the client, and turn its errors into messages with advice."""
        client = _client()
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from s3transfer import exceptions as transfers

        try:
            yield client
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise self._error(ERROR_REASONS.get(code, str(error))) from error
        except (
            BotoCoreError,
            Boto3Error,
            transfers.RetriesExceededError,  # boto3 translates it for named files only.
            transfers.S3UploadFailedError,
            transfers.S3DownloadFailedError,
            transfers.S3ValidationError,
            transfers.CancelledError,
        ) as error:
            raise self._error(str(error) or type(error).__name__) from error
        except OSError as error:
            if error.filename is None:  # An error of the connection.
                raise self._error(str(error) or type(error).__name__) from error
            raise ArtifactError(f"Cannot use {error.filename}: {error.strerror}.") from error

    def _error(self, why: str) -> ArtifactError:
        return ArtifactError(
            f"Cannot use s3://{self.bucket}/{self.prefix}: {why.splitlines()[0].rstrip('.')}. "
            "Check --artifacts, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_ENDPOINT_URL or ~/.aws on this machine."
        )


@cache
def _client() -> Any:
    """Return the client of this process, which is thread-safe."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ArtifactError("Artifacts in S3 need boto3: pip install 'convsearch[s3]'.") from error
    config = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 4})
    try:
        return boto3.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise ArtifactError(f"boto3 cannot be used as it is set up: {error}.") from error
