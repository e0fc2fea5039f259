from pathlib import Path

import pytest

from storage.atomic_files import STALE_PARTIAL_S, atomic_write, remove_stale_partials


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("sync", [False, True])
def test_file_appears_when_it_is_whole(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "new" / "file"
    with atomic_write(path, sync=sync) as partial:
        partial.write_text("text")
        assert not path.exists()
    assert path.read_text() == "text"
    assert names(path.parent) == {"file"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file"}


def test_writing_nothing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path):
        pass
    assert path.read_text() == "old"


def test_two_writers_do_not_share_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # The outer writer ended last.
    assert names(tmp_path) == {"file"}


def test_partial_file_of_a_given_name_is_written_over(tmp_path: Path) -> None:
    path, partial = tmp_path / "file", tmp_path / ".file.partial"
    partial.write_text("left by a killed process")
    with atomic_write(path, partial=partial) as written:
        assert written == partial
        written.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == {"file"}


def test_missing_folder_is_an_error_unless_it_may_be_created(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        atomic_write(tmp_path / "missing" / "file", parents=False) as partial,
    ):
        partial.write_text("text")
    assert names(tmp_path) == set()


def test_only_stale_partial_files_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".file.0123abcd", ".hidden", "file"):
        (tmp_path / name).write_text("")
    remove_stale_partials(tmp_path)
    assert len(names(tmp_path)) == 3
    now = (tmp_path / "file").stat().st_ctime + STALE_PARTIAL_S + 1
    monkeypatch.setattr("storage.atomic_files.time.time", lambda: now)
    remove_stale_partials(tmp_path)
    assert names(tmp_path) == {".hidden", "file"}
