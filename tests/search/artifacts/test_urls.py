"""Values of `--artifacts`, and the errors for places that cannot be used."""

from pathlib import Path

import pytest

from search.artifacts import open_artifact_store, read_artifacts_url
from search.artifacts.s3 import _client
from search.errors import ArtifactError, SettingsError
from storage import Store


def open_s3(url: str, tmp_path: Path):  # type: ignore[no-untyped-def]
    return open_artifact_store(url, Store.open(f"sqlite:///{tmp_path / 's.db'}"), max_bytes=1)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("database", "database"),
        ("store", "database"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/some//prefix/", "s3://bucket/some/prefix"),
        ("/some/folder/../other", "/some/other"),
    ],
)
def test_place_is_recorded_as_a_full_url(text: str, url: str) -> None:
    assert read_artifacts_url(text) == url


def test_relative_folder_is_recorded_with_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_artifacts_url("./database") == str(tmp_path / "database")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gs://bucket/prefix", r"or s3://BUCKET/PREFIX\. Received: gs://\.\.\."),
        ("s3://", "expected s3://BUCKET/PREFIX"),
        ("s3://key:secret@bucket/prefix", "without credentials"),
        ("s3://bucket?secret=secret", "without credentials"),
        (" ", "Received: nothing"),
    ],
)
def test_other_place_is_refused_without_its_secrets(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        read_artifacts_url(text)
    assert "secret" not in str(error.value).replace("AWS_SECRET", "")


def test_missing_bucket_is_an_error(s3_environment: None, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"s3://nobodys-bucket/x: there is no such bucket"):
        open_s3("s3://nobodys-bucket/x", tmp_path).put("name", tmp_path / "file")


def test_missing_credentials_are_an_error_that_says_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    _client.cache_clear()
    with pytest.raises(ArtifactError, match=r"Unable to locate credentials\. .*AWS_ACCESS_KEY_ID"):
        open_s3("s3://bucket", tmp_path).sizes()
    _client.cache_clear()


def test_endpoint_that_does_not_answer_is_an_error(
    s3_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _client()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    _client.cache_clear()
    with pytest.raises(ArtifactError, match="Could not connect to the endpoint URL"):
        open_s3("s3://bucket", tmp_path).sizes()
    assert known is not _client()


def test_missing_boto3_is_an_error_that_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    _client.cache_clear()
    with pytest.raises(ArtifactError, match=r"pip install 'convsearch\[s3\]'"):
        open_s3("s3://bucket", tmp_path).sizes()


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    artifacts = open_s3(str(tmp_path / "file" / "folder"), tmp_path)
    with pytest.raises(
        ArtifactError, match=r"artifacts folder .*: Not a directory\. .*--artifacts"
    ):
        artifacts.put("name", tmp_path / "file")
