"""Fixtures for the tests of `search`: a tiny image set, and a small study on it."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import fasteners
import numpy as np
import pytest

from search.data import DataSettings, PreparedSet, prepare
from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from search.trainer.pool import TrainerPool
from search.trainer.process import Trainer
from search.workers.worker import Worker
from storage import Store

SMALL_SPACE: dict[str, Any] = {
    "families": ["plain"],
    "stages": 1,
    "convs": 1,
    "channels": 8,
    "kernel_size": 3,
    "dense_layers": 0,
    "batch_size": 16,
}


def write_blobs(path: Path, *, n: int = 96, size: int = 16, n_classes: int = 3) -> Path:
    """Write an `.npz` of images whose class is the position of a bright blob."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % n_classes
    images = rng.integers(0, 80, (n, size, size), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        start = 1 + 5 * label
        image[start : start + 5, start : start + 5] += 120
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture(autouse=True)
def cache_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Use a cache folder of the tests instead of the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVSEARCH_CACHE", str(folder))
    return folder


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    """A source that a small network learns in one or two epochs."""
    return write_blobs(tmp_path / "blobs.npz")


@pytest.fixture
def prepared(blobs: Path, cache_folder: Path) -> PreparedSet:
    """The prepared set of `blobs`."""
    return prepare(DataSettings(source=str(blobs), image_size=16), cache_folder)


def make_plan(source: Path, folder: Path, **tables: dict[str, Any]) -> StudyPlan:
    """Return the plan of a study of small networks, whose store is in a folder."""
    values: dict[str, dict[str, Any]] = {
        "study": {"name": "small", "workers": 1},
        "data": {"source": str(source), "image_size": 16},
        "space": SMALL_SPACE,
        "training": {"max_epochs": 3},
        "search": {"pruner": "none", "seed": 1},
        "budget": {"trials": 3},
        "store": {"url": f"sqlite:///{folder / 'store.db'}"},
    }
    for name, table in tables.items():
        values[name] = {**values.get(name, {}), **table}
    return StudyPlan.model_validate(values)


@pytest.fixture
def make_study(
    blobs: Path, tmp_path: Path, new_sqlite: Callable[[Path], str]
) -> Callable[..., OpenStudy]:
    """Make a small study that no worker has joined; arguments change tables of its plan."""

    def make(**tables: dict[str, Any]) -> OpenStudy:
        if "store" not in tables and not (tmp_path / "store.db").exists():
            new_sqlite(tmp_path / "store.db")
        submission = submit(resolve_plan(make_plan(blobs, tmp_path, **tables)))
        return OpenStudy.load(submission.store, submission.record.name)

    return make


@pytest.fixture
def opened(make_study: Callable[..., OpenStudy]) -> OpenStudy:
    """The small study, open for a worker."""
    return make_study()


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose three trials were trained; tests work on copies of it.

    The processes of a test run share it: the first one trains, and others wait for it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "trained"
    done = folder.with_suffix(".done")
    with fasteners.InterProcessLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _train_study(folder)
            done.touch()
    return folder


def _train_study(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVSEARCH_CACHE", str(folder / "cache"))
        plan = make_plan(write_blobs(folder / "blobs.npz"), folder, space={"dense_layers": [0, 1]})
        submission = submit(resolve_plan(plan))
        with closing(submission.store):
            Worker(OpenStudy.load(submission.store, submission.record.name), TrainerPool()).run()


def copy_study(folder: Path, to: Path) -> OpenStudy:
    """Copy the folder of a study, correct the paths in its store, and open it."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    with closing(sqlite3.connect(to / "store.db")) as connection, connection:
        connection.execute(
            "UPDATE convsearch_studies SET settings = replace(settings, ?, ?)",
            (str(folder), str(to)),
        )
    return OpenStudy.load(Store.open(f"sqlite:///{to / 'store.db'}"), "small")


@pytest.fixture
def trained(trained_folder: Path, tmp_path: Path) -> OpenStudy:
    """The small study after its three trials were trained."""
    return copy_study(trained_folder, tmp_path)


@pytest.fixture(scope="session")
def session_trainer() -> Iterator[Trainer]:
    """A trainer that has loaded TensorFlow once for many tests."""
    with closing(Trainer()) as trainer:
        yield trainer


@pytest.fixture
def warm_trainer(session_trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use that trainer wherever this process would start one for a few requests."""
    users = ("evaluation.trained_network", "evaluation.reproduction", "exported_models.prediction")
    for module in users:
        name = f"search.{module}.temporary_trainer"
        monkeypatch.setattr(name, lambda _: nullcontext(session_trainer))
