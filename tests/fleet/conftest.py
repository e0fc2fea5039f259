"""A fleet of real processes: the command `run`, its workers and their trainers, to be killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from analysis import StudyStatus, load_status
from search.settings.study_file import read_plan
from search.strategy.seeds import TRAINING, derive_seed
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from storage import Store, list_open_leases, list_workers, load_curve, load_study, load_trials
from tests.tools.postgres_server import PostgresServer, new_server

ROOT = Path(__file__).parents[2]
TRAINER = Path(__file__).with_name("trainer.py")
USE_TRAINER = """
import os, signal, sys
from search.trainer.pool import TrainerPool
TrainerPool.__init__.__kwdefaults__["command"] = (sys.executable, {trainer!r})
moment = os.environ.get("FLEET_STOPS_AT")
if moment and {trainer!r} not in sys.orig_argv:
    from storage.coordination import recovery
    original = getattr(recovery, moment)
    def stop_first(*arguments):
        setattr(recovery, moment, original)
        os.kill(os.getpid(), signal.SIGSTOP)
        return original(*arguments)
    setattr(recovery, moment, stop_first)
"""
"""Makes the trainer ours, and stops a worker at the moment that `FLEET_STOPS_AT` names."""
STUDY = """
[study]
name = "{name}"
workers = {workers}
[data]
source = "{source}"
image_size = 16
[space]
families = ["plain"]
stages = 1
convs = 1
[training]
max_epochs = {epochs}
{training}
[search]
pruner = "none"
sampler = "random"
[budget]
trials = {trials}
"""


@dataclass
class Process:
    """A command that runs, with what it has said."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def words(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def wait(self, timeout_s: float) -> int:
        """Waits for its end, and gives its exit code."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s: {self.words}") from None

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def workers(self) -> list[psutil.Process]:
        return [it for it in self._children() if "worker" in command_of(it)]

    def trainers(self) -> list[psutil.Process]:
        names = (str(TRAINER), "search.training.main")
        return [it for it in self._children() if any(name in command_of(it) for name in names)]

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.popen.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def command_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@dataclass
class Fleet:
    """A study in a store, and the processes that work on it."""

    url: str
    folder: Path
    n_trials: int = 24
    n_epochs: int = 4
    n_workers: int = 4
    training: str = ""
    name: str = "fleet"
    n_images: int = 60
    is_real: bool = False
    """Whether its trainers are real ones, with TensorFlow."""
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    @property
    def plan(self) -> Path:
        text = STUDY.format(
            name=self.name,
            source=self._images(),
            workers=self.n_workers,
            trials=self.n_trials,
            epochs=self.n_epochs,
            training=self.training,
        )
        path = self.folder / f"{self.name}.toml"
        path.write_text(text)
        return path

    def _images(self) -> Path:
        """Writes the images: noise, with a blob that tells the class."""
        path = self.folder / f"images-{self.n_images}.npz"
        labels = np.arange(self.n_images) % 3
        images = np.random.default_rng(0).integers(0, 180, (self.n_images, 16, 16), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[5 * label : 5 * label + 4, 4:8] += 60
        np.savez(path, images=images, labels=labels)
        return path

    def submit(self) -> None:
        """Creates the study, so that it is there when workers start."""
        given = {("store", "url"): self.url, ("store", "artifacts"): str(self.folder / "files")}
        submit(resolve_plan(read_plan(str(self.plan), given, {}))).store.close()

    def run(self) -> Process:
        """Starts `run`: the supervisor with its workers."""
        return self.start("run", str(self.plan), "--artifacts", str(self.folder / "files"))

    def worker(self, **environment: str) -> Process:
        """Starts a worker on its own."""
        return self.start("worker", self.name, "--workers", "1", "--gpus", "none", **environment)

    def start(self, *arguments: str, **environment: str) -> Process:
        """Starts a command."""
        return self.start_script("-m", "search", *arguments, **environment)

    def start_script(self, *arguments: str, **environment: str) -> Process:
        log = self.folder / f"command-{len(self.processes)}.log"
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        text = "" if self.is_real else USE_TRAINER.format(trainer=str(TRAINER))
        (site / "sitecustomize.py").write_text(text)
        path = os.pathsep.join((str(ROOT), str(site)))
        told = {"PYTHONPATH": path, "CONVSEARCH_STORE": self.url, **self.environment}
        with log.open("wb") as stream:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env={**os.environ, **told, **environment},
                stdout=stream,
                stderr=stream,
            )
        self.processes.append(Process(popen, log))
        return self.processes[-1]

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        opened = Store.open(self.url)
        yield opened
        opened.close()

    def status(self) -> StudyStatus:
        with self.store() as store:
            return load_status(store, self.name)

    def counts(self) -> dict[str, int]:
        return {kind: n for kind, n in self.status().counts.items() if n}

    def wait_for(self, condition: Callable[[StudyStatus], Any], timeout_s: float = 60.0) -> Any:
        """Waits until something holds of the study."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(LookupError):
                found = condition(self.status())
                if found:
                    return found
            time.sleep(0.2)
        raise AssertionError("\n".join(process.words for process in self.processes))

    def check(self) -> None:
        """Makes sure that the study has come out exact and whole."""
        with self.store() as store:
            opened = OpenStudy.load(store, self.name)
            rows = load_trials(store, opened.study_id)
            assert list_open_leases(store, opened.study_id) == []
            assert list_workers(store, opened.study_id) == []
            curves = {row.number: load_curve(store, row.trial_id) for row in rows}
        counted = [row for row in rows if row.outcome is not None and row.outcome.counts]
        assert len(counted) == self.n_trials, len(counted)
        assert {row.state for row in counted} == {"COMPLETE"}
        assert {row.state for row in rows} <= {"COMPLETE", "PRUNED", "FAIL"}
        assert [row.number for row in rows] == list(range(len(rows)))
        trials = {trial.number: trial for trial in opened.study.trials}
        assert len(trials) == len(rows)
        for row in counted:
            expected = self.expected_curve(opened, row.number)
            found = curves[row.number]
            assert [epoch.epoch for epoch in found] == list(range(1, self.n_epochs + 1))
            assert [epoch.val_accuracy for epoch in found] == expected
            assert row.value == max(expected)
            best = {i + 1: max(expected[: i + 1]) for i in range(self.n_epochs)}
            assert trials[row.number].intermediate_values == best

    def expected_curve(self, opened: OpenStudy, number: int) -> list[float]:
        seed = derive_seed(opened.settings.search.seed, number, TRAINING)
        return [accuracy(seed, epoch) for epoch in range(1, self.n_epochs + 1)]

    def trained(self) -> dict[tuple[str, int], int]:
        """Counts how often each epoch of each trial was trained."""
        counts: dict[tuple[str, int], int] = {}
        for log in self.folder.glob(f"files/{self.name}*/epochs.log"):
            for line in log.read_text().splitlines():
                trial, epoch = line.split()
                counts[trial, int(epoch)] = counts.get((trial, int(epoch)), 0) + 1
        return counts

    def pids(self) -> list[int]:
        """Return the workers that are running."""
        with self.store() as store:
            study_id = load_study(store, self.name).study_id
            return sorted(row.pid for row in list_workers(store, study_id))

    def holders_of_lost_trials(self, n_losses: int) -> set[int | None]:
        """Return the processes that hold trials lost so often since their last new epoch.

        None is among them if such a trial waits for a worker.
        """
        with self.store() as store:
            study_id = load_study(store, self.name).study_id
            leases = list_open_leases(store, study_id)
            pids = {row.worker_id: row.pid for row in list_workers(store, study_id)}
        return {pids.get(it.worker_id or "") for it in leases if it.n_losses >= n_losses}

    def logs(self) -> str:
        """Return the logs of the workers of `run`."""
        return "".join(
            path.read_text() for path in self.folder.glob(f"files/{self.name}*/worker-*.log")
        )

    def close(self) -> None:
        for process in self.processes:
            for victim in [*process.workers(), *process.trainers()]:
                with contextlib.suppress(psutil.Error):
                    victim.send_signal(signal.SIGCONT)
                    victim.kill()
            if process.is_running:
                process.popen.kill()
            process.popen.wait()


def accuracy(seed: int, epoch: int) -> float:
    """As the trainer has it."""
    return (seed * 7919 + epoch * 104729) % 9973 / 9973


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the quick tests quick: fleets on PostgreSQL are among the slow ones."""
    for item in items:
        is_fleet = Path(__file__).parent in item.path.parents
        if is_fleet and "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def make_fleet(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Fleet]]:
    """Makes fleets on each kind of store; their processes are ended afterwards."""
    yield from _fleets(store_url, tmp_path, monkeypatch)


def _fleets(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Fleet]]:
    monkeypatch.setenv("CONVSEARCH_CACHE", str(folder / "cache"))
    made: list[Fleet] = []

    def make(**options: Any) -> Fleet:
        made.append(Fleet(url, folder, **options))
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, which may stop and start it."""
    with new_server() as server:
        yield server


@pytest.fixture
def make_postgres_fleet(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet on that server."""
    url = postgres_server.socket_url("postgres")
    yield from _fleets(url, tmp_path, monkeypatch)


@pytest.fixture
def make_sqlite_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet on a SQLite file."""
    yield from _fleets(f"sqlite:///{tmp_path / 'store.db'}", tmp_path, monkeypatch)


@pytest.fixture
def make_embedded_fleet(
    public_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet on an embedded PostgreSQL."""
    yield from _fleets(f"postgres:{public_folder / 'store'}", tmp_path, monkeypatch)
