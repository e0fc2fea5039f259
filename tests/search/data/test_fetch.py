"""Public sets from a local server: the file, what is kept beside it, and errors."""

import hashlib
import io
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, default_cache_dir, inspect_source
from search.data.fetch import default_folder, default_mirror, fetch_set
from search.data.public_sets import PublicSet
from search.errors import DataError, FetchError
from storage.file_rights import SHARED_VARIABLE
from tests.tools import file_server
from tests.tools.file_server import FileServer, serve_file

COUNTS = {"train": 20, "val": 6, "test": 6}


def _content() -> bytes:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in COUNTS.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n, dtype=np.uint8) % 2)[:, None]
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


CONTENT = _content()
SET = PublicSet(
    name="smallmnist",
    about="noise",
    source="a generator (Nobody, 2020)",
    license="CC BY-NC 4.0",
    channels=1,
    counts=COUNTS,
    classes=("quiet", "loud"),
    md5=dict.fromkeys((28, 64), hashlib.md5(CONTENT).hexdigest()),
)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve_file(CONTENT) as running:
        yield running


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces.downloads.files.sleep", lambda _: None)


def names(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir() if not it.name.startswith("."))


def test_fetched_set_is_a_source_with_the_names_of_its_classes(
    server: FileServer, tmp_path: Path
) -> None:
    fetched = fetch_set(SET, 28, tmp_path / "sets", mirror=f"{server.url}/medmnist/")
    assert fetched.was_downloaded
    assert fetched.path == tmp_path / "sets" / "smallmnist.npz"
    assert server.paths == ["/medmnist/smallmnist.npz"]
    summary = inspect_source(DataSettings(source=str(fetched.path), image_size=8))
    assert summary.classes == ("quiet", "loud")
    assert {it: sum(n.values()) for it, n in summary.counts.items()} == COUNTS


def test_license_and_citations_are_kept_beside_it(server: FileServer, tmp_path: Path) -> None:
    fetched = fetch_set(SET, 64, tmp_path, mirror=server.url)
    assert names(tmp_path) == [
        "smallmnist_64.classes.txt", "smallmnist_64.license.txt", "smallmnist_64.npz",
    ]  # fmt: skip
    text = fetched.license_path.read_text()
    for part in (
        "CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/",
        "a generator (Nobody, 2020)", "https://doi.org/10.1038/s41597-022-01721-8",
        f"{server.url}/smallmnist_64.npz",
    ):  # fmt: skip
        assert part in text


def test_set_that_is_here_is_not_downloaded_again(server: FileServer, tmp_path: Path) -> None:
    fetch_set(SET, 28, tmp_path, mirror=server.url)
    (tmp_path / "smallmnist.license.txt").unlink()
    said: list[str] = []
    again = fetch_set(SET, 28, tmp_path, mirror=server.url, say=said.append)
    assert not again.was_downloaded
    assert said == []
    assert len(server.paths) == 1
    assert again.license_path.exists()


def test_file_that_was_brought_by_hand_is_taken(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "smallmnist.npz").write_bytes(CONTENT)
    assert not fetch_set(SET, 28, tmp_path, mirror=server.url).was_downloaded
    assert server.paths == []


def test_folder_that_nobody_may_write_to_is_enough_for_a_set_that_is_there(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_set(SET, 28, tmp_path, mirror=server.url)
    monkeypatch.setattr("storage.atomic_files.atomic_write", None)
    monkeypatch.setattr("os.open", None)
    assert not fetch_set(SET, 28, tmp_path, mirror=server.url).was_downloaded


def test_missing_server_is_told_with_the_address_and_the_place(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        fetch_set(SET, 28, tmp_path, mirror="http://127.0.0.1:9")
    message = str(caught.value)
    assert len(message.splitlines()) == 2
    assert "http://127.0.0.1:9/smallmnist.npz" in message
    assert "no connection: Connection refused" in message
    assert str(tmp_path / "smallmnist.npz") in message
    assert "--url names a mirror" in message
    assert names(tmp_path) == []


def test_another_file_is_deleted(server: FileServer, tmp_path: Path) -> None:
    server.content = CONTENT[:-1]
    with pytest.raises(FetchError, match="by its checksum or structure, and was deleted"):
        fetch_set(SET, 28, tmp_path, mirror=server.url)
    assert names(tmp_path) == []


def test_file_that_is_much_larger_than_its_pixels_is_refused(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.fetch.SLACK_BYTES", 1000)
    server.content = bytes(sum(COUNTS.values()) * 28 * 28 + 1001)
    with pytest.raises(FetchError, match="the server announces"):
        fetch_set(SET, 28, tmp_path, mirror=server.url)


def test_download_is_continued_and_says_so(server: FileServer, tmp_path: Path) -> None:
    server.answers = [file_server.cut_after(5000)]
    said: list[str] = []
    fetch_set(SET, 28, tmp_path, mirror=server.url, say=said.append)
    assert said[0] == f"Downloading {server.url}/smallmnist.npz"
    assert "trying again in 1 s" in said[1]
    assert server.ranges == [None, "bytes=5000-"]


@pytest.mark.parametrize("mirror", ["file:///tmp", "ftp://host/sets", "sets", "https://u:p@host"])
def test_mirror_must_be_a_web_server(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(DataError, match="--url: expected an address such as https://HOST"):
        fetch_set(SET, 28, tmp_path, mirror=mirror)
    assert names(tmp_path) == []


def test_files_are_private_in_a_new_folder(server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sets"
    fetch_set(SET, 28, folder, mirror=server.url)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(it.stat().st_mode) for it in folder.iterdir()} == {0o600}


def test_files_are_shared_if_that_was_said(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED_VARIABLE, "1")
    folder = tmp_path / "sets"
    fetch_set(SET, 28, folder, mirror=server.url)
    others = {bool(stat.S_IMODE(it.stat().st_mode) & 0o044) for it in [folder, *folder.iterdir()]}
    assert others == {True}


def test_folder_in_the_cache_is_as_private_as_the_cache(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVSEARCH_CACHE", str(tmp_path / "cache"))
    fetch_set(SET, 28, default_folder(), mirror=server.url)
    assert default_folder() == default_cache_dir() / "sets"
    for folder in (default_cache_dir(), default_folder()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_that_cannot_be_made_is_an_error(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FetchError, match=r"Cannot use the folder .*: Not a directory.* --to"):
        fetch_set(SET, 28, tmp_path / "file" / "sets", mirror=server.url)


def test_mirror_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSEARCH_SETS_URL", "https://mirror/sets")
    assert default_mirror() == "https://mirror/sets"
    monkeypatch.setenv("CONVSEARCH_SETS_URL", "")
    assert default_mirror() is None
