"""Every kind of artifact store: storing, loading, listing and deleting files by name."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3transfer.exceptions import RetriesExceededError

from search.artifacts import ArtifactStore
from search.artifacts.s3 import S3Artifacts, _client
from search.errors import ArtifactError

MB = 2**20
NAME = "small/trial-3.0.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of more than one chunk."""
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * (5 * MB // 512))
    return path


def test_file_comes_back_as_it_was(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    artifact_store.put(NAME, source)
    target = tmp_path / "elsewhere" / "target"
    assert artifact_store.get(NAME, target)
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_put_reports_progress_in_bytes(artifact_store: ArtifactStore, source: Path) -> None:
    reported: list[int] = []
    artifact_store.put(NAME, source, reported.append)
    n_bytes = source.stat().st_size if artifact_store.folder is None else 0
    assert sum(reported) == n_bytes


def test_empty_file_can_be_stored(artifact_store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    artifact_store.put(NAME, tmp_path / "empty")
    assert artifact_store.get(NAME, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b""


def test_missing_file_is_none_and_the_existing_copy_stays(
    artifact_store: ArtifactStore, tmp_path: Path
) -> None:
    (tmp_path / "target").write_text("known")
    assert not artifact_store.get(NAME, tmp_path / "target")
    assert (tmp_path / "target").read_text() == "known"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".target")]


def test_later_file_replaces_the_earlier_one(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    artifact_store.put(NAME, source)
    (tmp_path / "later").write_bytes(b"later")
    artifact_store.put(NAME, tmp_path / "later")
    assert artifact_store.sizes("small") == {NAME: 5}
    assert artifact_store.get(NAME, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"later"


def test_stored_file_does_not_change_with_its_source(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    whole = source.read_bytes()
    artifact_store.put(NAME, source)
    (tmp_path / "next").write_bytes(b"next")
    (tmp_path / "next").replace(source)
    assert artifact_store.get(NAME, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == whole


def test_sizes_list_the_files_directly_in_a_folder(
    artifact_store: ArtifactStore, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"four")
    for name in ("prepared-0a.safetensors", "a_b/one", "a_b/two", "aXb/one", "A_B/one", "a_b2/x"):
        artifact_store.put(name, tmp_path / "source")
    assert artifact_store.sizes() == {"prepared-0a.safetensors": 4}
    assert artifact_store.sizes("a_b") == {"a_b/one": 4, "a_b/two": 4}
    assert artifact_store.sizes("none") == {}


def test_only_the_given_files_are_deleted(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    for name in ("small/one", "small/two", "other/one"):
        artifact_store.put(name, source)
    artifact_store.delete(["small/one", "small/never"])
    artifact_store.delete([])
    assert list(artifact_store.sizes("small")) == ["small/two"]
    assert list(artifact_store.sizes("other")) == ["other/one"]
    assert not artifact_store.get("small/one", tmp_path / "target")


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/../../b", "a//b", "", ".hidden", "a\\b", "a" * 256]
)
def test_name_that_could_leave_the_folder_is_refused(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path, name: str
) -> None:
    for use in (artifact_store.put, artifact_store.get):
        with pytest.raises(ValueError, match="Expected a name of letters"):
            use(name, source)
    with pytest.raises(ValueError, match="Expected a name of letters"):
        artifact_store.delete([name])


def test_missing_source_is_an_error_and_keeps_the_stored_file(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    artifact_store.put(NAME, source)
    with pytest.raises(ArtifactError, match="No such file"):
        artifact_store.put(NAME, tmp_path / "none")
    assert artifact_store.sizes("small") == {NAME: source.stat().st_size}


def test_reader_never_sees_a_mix_of_two_files(
    artifact_store: ArtifactStore, tmp_path: Path
) -> None:
    contents = [letter * (3 * MB) for letter in (b"a", b"b")]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
    artifact_store.put(NAME, tmp_path / "0")
    is_read = threading.Event()
    n_put = 0

    def replace_until_read() -> None:
        nonlocal n_put
        while not is_read.is_set():
            artifact_store.put(NAME, tmp_path / str(n_put % 2))
            n_put += 1

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(replace_until_read)
        try:
            for n_read in itertools.count():
                if n_read >= 10 and (n_put > 2 or writer.done()):
                    break
                assert artifact_store.get(NAME, tmp_path / "target")
                assert (tmp_path / "target").read_bytes() in contents
        finally:
            is_read.set()
        writer.result()
    assert n_put > 2


def test_file_that_is_stored_and_deleted_repeatedly_is_whole_or_missing(
    artifact_store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    is_over = threading.Event()

    def put_and_delete() -> None:
        while not is_over.is_set():
            artifact_store.put(NAME, source)
            artifact_store.delete([NAME])

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(put_and_delete)
        try:
            for _ in range(30):
                found = artifact_store.sizes("small")
                assert set(found.items()) <= {(NAME, source.stat().st_size)}
                if artifact_store.get(NAME, tmp_path / "target"):
                    assert (tmp_path / "target").read_bytes() == source.read_bytes()
        finally:
            is_over.set()
        writer.result()


def test_download_that_fails_repeatedly_is_an_artifact_error(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RetriesExceededError(TimeoutError("read timed out"))

    monkeypatch.setattr(_client(), "download_fileobj", fail)
    with pytest.raises(ArtifactError, match="Cannot use s3://studies/prefix: Max Retries"):
        S3Artifacts("studies", "prefix").get(NAME, tmp_path / "target")
