"""Rights of files and folders: private by default, never more than those of their folder."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from search.artifacts.folder import FolderArtifacts
from storage import Store, create_study
from storage.atomic_files import atomic_write
from storage.file_rights import SHARED_VARIABLE, make_folder, make_top_folder, open_log


def rights(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


@pytest.fixture(autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """The usual umask, unless a test is called with another one."""
    before = os.umask(getattr(request, "param", 0o022))
    yield
    os.umask(before)


def test_new_top_folder_and_all_in_it_are_private(tmp_path: Path) -> None:
    top = tmp_path / "new" / "cache"
    make_top_folder(top)
    make_folder(top / "a" / "b")
    with atomic_write(top / "a" / "c" / "file") as partial:
        partial.write_text("text")
    open_log(top / "a" / "worker.log").close()
    assert [rights(it) for it in (top, top / "a" / "b", top / "a" / "c")] == ["700"] * 3
    assert rights(top / "a" / "c" / "file") == rights(top / "a" / "worker.log") == "600"
    assert rights(top.parent) == "755"  # Not ours.


@pytest.mark.parametrize(
    ("umask", "mode", "folder", "file"),
    [(0o022, 0o755, "755", "644"), (0o022, 0o750, "750", "640"), (0o007, 0o2770, "2770", "660"),
     (0o077, 0o755, "700", "600")],
    indirect=["umask"],
)  # fmt: skip
def test_folder_that_was_there_shares_as_far_as_the_umask_lets_it(
    tmp_path: Path, umask: None, mode: int, folder: str, file: str
) -> None:
    top = tmp_path / "cache"
    top.mkdir()
    top.chmod(mode)
    make_top_folder(top)
    with atomic_write(top / "inner" / "file") as partial:
        partial.write_text("text")
    open_log(top / "inner" / "log").close()
    assert rights(top / "inner") == folder
    assert rights(top / "inner" / "file") == rights(top / "inner" / "log") == file


@pytest.mark.parametrize(("is_shared", "mode"), [(False, "600"), (True, "644")])
def test_new_sqlite_store_is_private_unless_it_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_shared: bool, mode: str
) -> None:
    if is_shared:
        monkeypatch.setenv(SHARED_VARIABLE, "1")
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        create_study(store, "first", settings="{}")
        files = sorted(tmp_path.glob("store.db*"))
        assert [it.name for it in files] == [
            f"store.db{it}" for it in ("", "-shm", "-wal", ".lock")
        ]
        assert {rights(it) for it in files} == {mode}


def test_sqlite_store_that_was_there_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(0o640)
    with closing(Store.open(f"sqlite:///{path}")):
        assert rights(path) == "640"


def test_shared_top_folder_has_the_usual_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED_VARIABLE, "1")
    make_top_folder(tmp_path / "cache")
    assert rights(tmp_path / "cache") == "755"


def test_private_file_is_copied_to_shared_artifacts_and_keeps_its_rights(tmp_path: Path) -> None:
    for name, mode in (("cache", 0o700), ("artifacts", 0o755)):
        (tmp_path / name).mkdir(mode)
    with atomic_write(tmp_path / "cache" / "images") as partial:
        partial.write_text("pixels")
    FolderArtifacts(tmp_path / "artifacts").put("images", tmp_path / "cache" / "images")
    assert rights(tmp_path / "artifacts" / "images") == "644"
    assert rights(tmp_path / "cache" / "images") == "600"


def test_linked_file_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("pixels")
    FolderArtifacts(tmp_path / "artifacts").put("images", tmp_path / "images")
    assert (tmp_path / "artifacts" / "images").samefile(tmp_path / "images")
    assert rights(tmp_path / "images") == "644"
    assert rights(tmp_path / "artifacts") == "700"
