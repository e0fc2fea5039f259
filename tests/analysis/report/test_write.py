"""Writing a report: its files, and what remains if one of them cannot be written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import write_report
from analysis.errors import ReportError
from analysis.report import write
from analysis.report.facts import Facts

STORE = "sqlite:///../brain.db"


@pytest.fixture
def small(make_facts: Callable[..., Facts]) -> Facts:
    return make_facts(n_trials=12)


@pytest.fixture
def no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "write_notebook", lambda _, path, **__: path.write_text("{}"))


@pytest.mark.usefixtures("no_notebook")
def test_report_is_four_files(small: Facts, tmp_path: Path) -> None:
    reported: list[tuple[int, int, str]] = []
    paths = write_report(
        small, tmp_path, store=STORE, progress=lambda *how_far: reported.append(how_far)
    )
    assert [it.name for it in paths] == [
        "report.html",
        "trials.csv",
        "report.ipynb",
        "report.json",
    ]
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert [n_done for n_done, *_ in reported] == [1, 2, 3, 4]
    assert json.loads(paths[-1].read_text(encoding="utf-8"))["study"] == small.study


def test_a_notebook_that_does_not_run_does_not_affect_other_files(
    small: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Facts, path: Path, **__: object) -> None:
        path.write_text("{}")
        raise ReportError("A cell failed: no store.")

    monkeypatch.setattr(write, "write_notebook", fail)
    with pytest.raises(ReportError, match=r"report\.ipynb was written without .*A cell failed"):
        write_report(small, tmp_path, store=STORE)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.usefixtures("no_notebook")
def test_a_full_disk_is_an_error_of_one_line(
    small: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ReportError) as caught:
        write_report(small, tmp_path, store=STORE)
    assert str(caught.value) == (
        f"Cannot write {tmp_path / 'report.html'}: No space left on device. "
        "Name another folder with --out."
    )


def test_a_missing_folder_is_refused(small: Facts, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file or directory"):
        write_report(small, tmp_path / "nowhere", store=STORE)


def test_an_unknown_language_is_refused_before_anything_is_written(
    small: Facts, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="en or ru"):
        write_report(small, tmp_path, store=STORE, lang="de")
    assert not list(tmp_path.iterdir())
