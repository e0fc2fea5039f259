"""The folder of a report: when it may be used, and what an interruption leaves there."""

import os
from pathlib import Path

import pytest

from search.errors import SettingsError
from search.reports.output_folder import WRITTEN, check_folder, has_report, make_report_folder
from storage.atomic_files import atomic_write
from storage.file_rights import SHARED_VARIABLE, rights_of

MODEL = ("best.keras", "best.json")


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        (),
        MODEL,
        (*MODEL, "report.html", "trials.csv"),
        ("report.html", "report.ipynb"),  # Without a model: its weights are gone.
        (".report.html.123",),
        (*MODEL, ".writing-a1b_c2", "report.html", ".report.ipynb.7"),
    ],
)
def test_folder_of_an_unfinished_report_is_accepted(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    check_folder(fill(tmp_path / "out", *names), is_forced=False)


@pytest.mark.parametrize("name", WRITTEN)
def test_folder_with_a_file_that_is_being_written_is_accepted(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    with atomic_write(out / name) as partial:
        partial.write_text("the process was killed here")
        check_folder(out, is_forced=False)


@pytest.mark.parametrize(
    "names",
    [
        ("report.html", "report.json"),
        ("notes.txt",),
        (*MODEL, "notes.txt"),
        ("trials.csv",),  # As `export` writes it.
        (".report.html.mine",),
    ],
)
def test_folder_with_other_files_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    out = fill(tmp_path / "out", *names)
    with pytest.raises(SettingsError, match="is not empty"):
        check_folder(out, is_forced=False)
    check_folder(out, is_forced=True)


def test_new_folder_is_for_its_owner_alone_unless_it_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SHARED_VARIABLE, raising=False)
    with make_report_folder(tmp_path / "private"):
        assert rights_of(tmp_path / "private") == 0o700
    monkeypatch.setenv(SHARED_VARIABLE, "1")
    with make_report_folder(tmp_path / "shared"):
        assert rights_of(tmp_path / "shared") == 0o777 & ~usual_umask()


def usual_umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def test_partial_files_are_removed_before_writing(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", "best.keras", ".trials.csv.99", "report.html", "mine.txt")
    (out / ".writing-abc").mkdir()
    (out / ".writing-abc" / "model.keras").write_text("half")
    with make_report_folder(out):
        assert sorted(path.name for path in out.iterdir()) == ["mine.txt", "report.html"]


def test_report_that_is_replaced_counts_as_unfinished_until_it_is_written(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", "best.keras", "report.html", "report.json")
    assert has_report(out)
    with make_report_folder(out):
        assert not has_report(out)


def test_interruption_removes_only_an_empty_folder_that_it_created(tmp_path: Path) -> None:
    def interrupt(out: Path, *names: str) -> None:
        with pytest.raises(KeyboardInterrupt), make_report_folder(out):  # noqa: PT012
            for name in names:
                (out / name).write_text("")
            raise KeyboardInterrupt

    interrupt(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    interrupt(tmp_path / "begun", "report.html")
    assert (tmp_path / "begun" / "report.html").exists()
    interrupt(fill(tmp_path / "mine"))
    assert (tmp_path / "mine").exists()
