"""Workers as processes: what ends them, what they leave behind, how they share two studies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from analysis import load_status
from search.machine.gpus import CPU
from search.studies.open_study import OpenStudy
from search.workers.local_workers import LocalWorkers
from search.workers.service import Service
from storage import (
    EpochRow,
    begin_trial,
    end_study,
    load_trials,
    record_epoch,
    register_worker,
    set_budget,
    set_stopped,
)

ROOT = Path(__file__).parents[3]
FAKE = Path(__file__).parents[1] / "fake_trainer.py"
USE_FAKE = """
import os, sys
from search.trainer.pool import TrainerPool
command = (sys.executable, {fake!r}, os.environ["FAKE_MODE"])
TrainerPool.__init__.__kwdefaults__["command"] = command
"""
MakeStudy = Callable[..., OpenStudy]


class Command:
    """A running command, and what it has written to standard error."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def words(self) -> str:
        return self.log.read_text()

    def wait(self, timeout: float = 60.0) -> int:
        return self.process.wait(timeout)

    def family(self) -> list[psutil.Process]:
        """Its children and theirs: workers and trainers."""
        return psutil.Process(self.process.pid).children(recursive=True)


Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path, cache_folder: Path) -> Iterator[Start]:
    """Starts a command whose trainers are fake ones; ends all of its processes afterwards."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(USE_FAKE.format(fake=str(FAKE)))
    begun: list[Command] = []

    def start(
        *arguments: str, url: str, mode: str = "well", before: tuple[str, ...] = ()
    ) -> Command:
        log = tmp_path / f"command-{len(begun)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*before, sys.executable, "-m", "search", *arguments],
                cwd=tmp_path,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path / "site"))),
                    "CONVSEARCH_STORE": url,
                    "FAKE_MODE": mode,
                },
                stdout=subprocess.DEVNULL,
                stderr=stream,
            )
        begun.append(Command(process, log))
        return begun[-1]

    yield start
    for command in begun:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in command.family():
                process.kill()
        command.process.kill()
        command.process.wait()


@pytest.fixture
def make(make_study: MakeStudy, store_url: str) -> MakeStudy:
    def make(name: str, *, trials: int = 3, priority: int = 0) -> OpenStudy:
        return make_study(
            study={"name": name, "priority": priority},
            budget={"trials": trials},
            store={"url": store_url},
        )

    return make


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite store, where the kind of store makes no difference."""
    return f"sqlite:///{tmp_path / 'store.db'}"


def wait_until(holds: Callable[[], bool], command: Command) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, command.words
        assert command.process.poll() is None, command.words
        time.sleep(0.05)


def counts(opened: OpenStudy) -> dict[str, int]:
    return {k: n for k, n in load_status(opened.store, opened.name).counts.items() if n}


def has_epochs(opened: OpenStudy, n_trials: int = 1) -> bool:
    rows = load_trials(opened.store, opened.study_id)
    return sum(row.curve.n_epochs == 2 for row in rows) >= n_trials


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["postgresql", "sqlite"], indirect=True)
def test_two_standing_workers_share_two_studies_exactly(
    make: MakeStudy, start: Start, store_url: str
) -> None:
    studies = [make("first", trials=12), make("second", trials=12)]
    options = ("worker", "--idle-exit", "2s", "--log-format", "json")
    commands = [start(*options, url=store_url, mode="steady") for _ in range(2)]
    assert [command.wait(120) for command in commands] == [0, 0]
    for opened in studies:
        assert counts(opened) == {"complete": 12}
        rows = load_trials(opened.store, opened.study_id)
        assert all(row.curve.n_epochs == 3 for row in rows)
    trained = []
    for command in commands:
        lines = [json.loads(line) for line in command.words.splitlines()]
        ended = [line for line in lines if ": complete" in line["message"]]
        trained.append(Counter(line["study"] for line in ended))
    assert sum(trained, Counter()) == {"first": 12, "second": 12}
    assert all(sum(counter.values()) >= 4 for counter in trained), trained


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (signal.SIGTERM, ()),
        (signal.SIGINT, ()),
        (signal.SIGHUP, ()),
        (signal.SIGTERM, ("--workers", "2")),
        pytest.param(signal.SIGINT, ("--workers", "2"), marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, ("--workers", "2"), marks=pytest.mark.slow),
    ],
)
def test_asked_to_leave_it_gives_its_trials_back_within_seconds(
    make_study: MakeStudy, start: Start, url: str, number: int, arguments: tuple[str, ...]
) -> None:
    opened = make_study()
    command = start("worker", *arguments, url=url, mode="hung")
    wait_until(lambda: has_epochs(opened, n_trials=1 + bool(arguments)), command)
    processes = command.family()
    assert len(processes) >= 1
    began = time.monotonic()
    command.process.send_signal(number)
    assert command.wait() == 128 + number
    assert time.monotonic() - began < 25
    assert "running" not in counts(opened)
    assert load_status(opened.store, opened.name).workers == ()
    assert f"exiting: signal {signal.SIGTERM if arguments else number}" in command.words.replace(
        "Signals.", ""
    )
    assert_gone(processes)


@pytest.mark.parametrize("arguments", [("run",), ("worker", "--workers", "2")])
def test_killed_supervisor_leaves_no_process(
    make_study: MakeStudy, blobs: Path, start: Start, url: str, arguments: tuple[str, ...]
) -> None:
    opened = make_study(study={"name": "blobs"})
    if arguments == ("run",):
        study = blobs.with_name("study.toml")
        study.write_text(opened_as_file(blobs))
        arguments = ("run", str(study), "--workers", "2")
    command = start(*arguments, url=url, mode="hung")
    wait_until(lambda: has_epochs(opened, n_trials=2), command)
    processes = command.family()
    assert len(processes) == 4  # two workers, two trainers
    command.process.kill()
    assert_gone(processes)
    assert "running" not in counts(opened)


def opened_as_file(blobs: Path) -> str:
    """The study of `make_plan` as a study file."""
    return (
        f"[data]\nsource = '{blobs}'\nimage_size = 16\n"
        "[space]\nfamilies = ['plain']\nstages = 1\nconvs = 1\nchannels = 8\nkernel_size = 3\n"
        "dense_layers = 0\nbatch_size = 16\n[training]\nmax_epochs = 3\n"
        "[search]\npruner = 'none'\nseed = 1\n[budget]\ntrials = 3\n[study]\nname = 'blobs'\n"
    )


@pytest.mark.slow
def test_killed_worker_of_several_is_started_again(
    make_study: MakeStudy, start: Start, url: str
) -> None:
    opened = make_study(budget={"trials": 5000})
    command = start("worker", opened.name, "--workers", "2", url=url)
    wait_until(lambda: load_status(opened.store, opened.name).n_done >= 3, command)
    psutil.Process(command.process.pid).children()[0].kill()
    again = "ended with signal SIGKILL and is restarted"
    wait_until(lambda: again in command.words, command)
    n_trials = load_status(opened.store, opened.name).n_done + 100
    set_budget(opened.store, opened.study_id, n_trials=n_trials, timeout_s=None)
    assert command.wait() == 0, command.words
    assert counts(opened).keys() == {"complete"}
    assert counts(opened)["complete"] >= n_trials


def test_joined_worker_says_that_it_joins_and_why_it_leaves(
    make_study: MakeStudy, start: Start, url: str
) -> None:
    opened = make_study()
    command = start("worker", opened.name, url=url)
    assert command.wait() == 0
    lines = command.words.splitlines()
    assert f"INFO small: joined, in {url}, on cpu" in lines[0]
    assert "INFO small: exiting: the study's budget is spent" in lines[-1]


def test_worker_of_a_stopped_study_leaves_and_its_trial_waits(
    make_study: MakeStudy, start: Start, url: str
) -> None:
    opened = make_study(budget={"trials": 5000})
    command = start("worker", opened.name, url=url)
    wait_until(lambda: has_epochs(opened), command)
    set_stopped(opened.store, opened.study_id, True)
    assert command.wait() == 0
    assert "exiting: the study was stopped" in command.words
    assert "running" not in counts(opened)


@pytest.mark.parametrize("arguments", [("nothing",), ("nothing", "--workers", "2")])
def test_worker_that_cannot_join_says_why_in_one_line(
    opened: OpenStudy, start: Start, url: str, arguments: tuple[str, ...]
) -> None:
    command = start("worker", *arguments, url=url)
    assert command.wait() == 2
    (line,) = command.words.splitlines()
    assert line.startswith("Error: There is no study 'nothing'")
    as_json = start("worker", *arguments, "--log-format", "json", url=url)
    assert as_json.wait() == 2
    (line,) = as_json.words.splitlines()
    assert json.loads(line)["message"].startswith("There is no study 'nothing'")


@pytest.mark.slow
def test_first_process_of_a_container_heeds_signals_and_leaves_no_zombie(
    make_study: MakeStudy, start: Start, url: str
) -> None:
    within = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("process namespaces need more rights")
    opened = make_study(budget={"trials": 5000})
    command = start("worker", "--workers", "2", url=url, before=within)
    wait_until(lambda: load_status(opened.store, opened.name).n_done >= 3, command)
    first = psutil.Process(command.process.pid).children()[0]
    victim = first.children()[0]
    dying = [victim, *victim.children()]
    victim.kill()  # Its trainer is now the first process' to bury.
    assert_gone(dying)  # A zombie would not be.
    wait_until(lambda: "is restarted" in command.words, command)
    n_done = load_status(opened.store, opened.name).n_done
    wait_until(lambda: load_status(opened.store, opened.name).n_done > n_done + 60, command)
    first.terminate()
    assert_gone([first])
    assert command.wait() == 128 + signal.SIGTERM
    assert "running" not in counts(opened)


def make_service(url: str, study: str | None) -> Service:
    """A service of two workers, of a study or of all."""
    return Service(
        store_url=url,
        study=study,
        devices=(CPU, CPU),
        n_threads=None,
        idle_exit_s=None,
        log_format="text",
        is_supervised=False,
    )


def test_supervisor_counts_what_the_workers_of_a_service_gain(
    opened: OpenStudy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker_id = register_worker(opened.store, opened.study_id)
    lease = begin_trial(opened.store, opened.study_id, worker_id)
    assert lease is not None
    counted = []

    def supervise(workers: LocalWorkers, *, stop: object) -> list[int]:
        counted.append(workers.count_progress())
        record_epoch(opened.store, lease, EpochRow(1, 1.0, 0.5, 1.0, 0.4, 1e-3, 0.01, 50.0))
        counted.append(workers.count_progress())
        return []

    monkeypatch.setattr("search.workers.service.supervise", supervise)
    assert make_service(url, None).run() == 0
    assert counted == [0, 1]


@pytest.mark.parametrize("is_named", [True, False])
def test_supervisor_looks_for_workers_that_answer_once_their_study_is_over(
    opened: OpenStudy, url: str, monkeypatch: pytest.MonkeyPatch, is_named: bool
) -> None:
    register_worker(opened.store, opened.study_id)
    found = []

    def supervise(workers: LocalWorkers, *, stop: object) -> list[int]:
        found.append(workers.find_answering())
        end_study(opened.store, opened.study_id, "Nothing is left.")
        found.append(workers.find_answering())
        return []

    monkeypatch.setattr("search.workers.service.supervise", supervise)
    assert make_service(url, opened.name if is_named else None).run() == 0
    assert found == [None, {os.getpid()} if is_named else None]  # Others wait for further studies.


AWAY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize("arguments", [(), ("scans", "--workers", "1", "--supervised")])
def test_standing_and_supervised_workers_wait_for_a_server_that_is_away(
    start: Start, arguments: tuple[str, ...]
) -> None:
    command = start("worker", *arguments, url=AWAY)
    wait_until(lambda: "waiting for the store: " in command.words, command)
    assert "Connection refused" in command.words
    command.process.send_signal(signal.SIGTERM)
    assert command.wait(20) == 128 + signal.SIGTERM


def test_worker_of_one_study_says_at_once_that_nothing_answers(start: Start) -> None:
    command = start("worker", "scans", url=AWAY)
    assert command.wait() == 1
    assert "Connection refused" in command.words
    assert "waiting for the store" not in command.words


def test_standing_worker_waits_for_studies_of_an_empty_database(
    start: Start, postgres_url: Callable[[str], str]
) -> None:
    command = start("worker", "--idle-exit", "2s", url=postgres_url("standing_empty"))
    assert command.wait(60) == 0
    assert "waiting for studies" in command.words
