"""Fixtures: an artifact store of each kind, in a folder, in both databases and on a local S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.artifacts import ArtifactStore, open_artifact_store
from search.artifacts.s3 import _client
from storage import Store

MAX_BYTES = 40 * 2**20
BUCKET = "studies"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 server in this process, which has only an empty bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point boto3 to that server by environment variables, with a new bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-very-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    _client.cache_clear()
    client = _client()
    client.create_bucket(Bucket=BUCKET)
    yield
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)
    _client.cache_clear()


@pytest.fixture(params=["folder", "database on sqlite", "database on postgresql", "s3"])
def artifact_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    """An empty artifact store; each test that uses it runs on every kind."""
    kind = request.param.split()[0]
    if request.param.endswith("postgresql"):
        url = request.getfixturevalue("new_postgres")(tmp_path.name)
    else:
        url = request.getfixturevalue("new_sqlite")(tmp_path / "store.db")
    if kind == "s3":
        request.getfixturevalue("s3_environment")
    place = {"folder": str(tmp_path / "artifacts"), "s3": f"s3://{BUCKET}/some/prefix"}
    store = Store.open(url)
    yield open_artifact_store(place.get(kind, kind), store, max_bytes=MAX_BYTES)
    store.close()
