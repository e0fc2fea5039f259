"""Exports: their progress, and the places that they are written to."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from analysis.errors import ExportError
from analysis.results.export import Export, load_export, write_export
from storage import Store


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_export_reports_progress(store: Store, kind: str) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="plain")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    reported: list[tuple[int, int, str]] = []
    export = load_export(store, "plain", lambda *how_far: reported.append(how_far))
    write_export(export, kind, progress=lambda *how_far: reported.append(how_far))
    assert reported == [(n, 2, what) for what in ("trials read", "trials written") for n in (1, 2)]


@pytest.fixture
def export(store: Store) -> Export:
    optuna.create_study(storage=store.optuna_storage, study_name="plain")
    return load_export(store, "plain")


def test_export_to_a_link_is_written_to_its_target(export: Export, tmp_path: Path) -> None:
    target, link = tmp_path / "there.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    write_export(export, "json", link)
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"study": "plain", "trials": []}


def test_export_to_a_pipe_is_written_through_it(export: Export, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(pipe.read_text)
        write_export(export, "json", pipe)
        assert json.loads(reading.result(timeout=10))["study"] == "plain"
    assert pipe.is_fifo()


def test_export_into_a_folder_that_is_read_only_is_refused(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ExportError, match=r"Cannot write .*: Read-only file system\."):
        write_export(export, "json", tmp_path / "trials.json")
