"""Local workers: which ends make them start again, and which make them give up."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import follow_status
from search.errors import WorkerError, WorkerStartError
from search.machine import memory, processes
from search.machine.gpus import CPU, Device
from search.studies.open_study import OpenStudy
from search.workers import local_workers
from search.workers.local_workers import LocalWorkers
from storage import end_study, register_worker
from storage.tables import workers as workers_table

URL = "postgresql://user:p%40ss@host/name"


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Runs a script where workers would be started; gives the folder of their logs."""

    def install(script: str) -> Path:
        program = tmp_path / "worker"
        program.write_text(f"#!{sys.executable}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(processes.sys, "executable", str(program))
        monkeypatch.setattr(local_workers, "MAX_BACKOFF_S", 0.01)
        return tmp_path

    return install


def make_workers(folder: Path, *devices: Device, study: str | None = "scans") -> LocalWorkers:
    return LocalWorkers(
        study,
        devices=devices or (CPU, CPU),
        store_url=URL,
        n_threads=3,
        log=lambda index: folder / f"worker-{index}.log",
    )


def run(workers: LocalWorkers) -> None:
    workers.start()
    deadline = time.monotonic() + 30
    while workers.poll():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_worker_that_cannot_do_what_it_is_asked_is_not_tried_again(
    instead: Callable[[str], Path],
) -> None:
    folder = instead("import sys; print('Error: no p@ss and no p%40ss'); sys.exit(2)")
    with pytest.raises(
        WorkerStartError, match=r"Its log ends with: Error: no \*\*\* and no \*\*\*$"
    ):
        run(make_workers(folder, CPU))
    assert (folder / "worker-0.log").read_text().count("Error") == 1


def test_worker_that_keeps_dying_is_given_up_with_the_end_of_its_log(
    instead: Callable[[str], Path],
) -> None:
    folder = instead("import sys; print('oh', 'no'); sys.exit(9)")
    with pytest.raises(WorkerError, match=r"Workers keep ending .*exit code 9.*oh no") as raised:
        run(make_workers(folder, CPU))
    assert not isinstance(raised.value, WorkerStartError)
    assert (folder / "worker-0.log").read_text().count("oh no") == local_workers.MAX_RESTARTS + 1


KILLS_ITSELF = """
import os, signal
print("started", flush=True)
if open({log!r}).read().count("started") <= {n_kills}:
    os.kill(os.getpid(), signal.{name})
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_worker_that_somebody_kills_is_always_started_again(
    instead: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    n_kills = 3 * local_workers.MAX_RESTARTS
    log = str(tmp_path / "worker-0.log")
    instead(KILLS_ITSELF.format(log=log, n_kills=n_kills, name=name))
    run(make_workers(tmp_path, CPU))
    assert Path(log).read_text() == "started\n" * (n_kills + 1)


@pytest.mark.parametrize(
    ("name", "n_ooms", "reason"),
    [
        ("SIGSEGV", 0, "exit code -11"),
        ("SIGKILL", 99, r"signal SIGKILL because memory ran out, of [\d,]+ MB in all"),
    ],
)
def test_worker_that_crashes_or_exhausts_memory_is_given_up(
    instead: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    n_ooms: int,
    reason: str,
) -> None:
    kills = iter(range(n_ooms))
    monkeypatch.setattr(memory, "_count_oom_kills", lambda: next(kills, 0))
    log = tmp_path / "worker-0.log"
    instead(KILLS_ITSELF.format(log=str(log), n_kills=99, name=name))
    with pytest.raises(WorkerError, match=rf"\(the last after \d+ s, with {reason}\)"):
        run(make_workers(tmp_path, CPU))
    assert log.read_text().count("started") == local_workers.MAX_RESTARTS + 1


def test_workers_that_are_done_are_not_started_again(instead: Callable[[str], Path]) -> None:
    folder = instead("print('done')")
    run(make_workers(folder))
    logs = [(folder / f"worker-{i}.log").read_text() for i in range(2)]
    assert logs == ["done\n", "done\n"]


def test_worker_is_told_its_device_and_no_list_of_processes_shows_the_store(
    instead: Callable[[str], Path],
) -> None:
    folder = instead("import json, os, sys\n"
                     "print(json.dumps([sys.argv, os.environ['CONVSEARCH_STORE']]))")  # fmt: skip
    gpus = Device("0", uuid="GPU-a", visible="0"), Device("1:0", uuid="MIG-b", visible="MIG-b")
    run(make_workers(folder, *gpus, study="-odd name"))
    for index, key in enumerate(("0", "1:0")):
        arguments, url = json.loads((folder / f"worker-{index}.log").read_text())
        assert url == URL
        assert "p%40ss" not in " ".join(arguments)
        assert arguments[arguments.index("--gpus") + 1] == key
        assert arguments[arguments.index("--threads") + 1] == "3"
        assert arguments[-2:] == ["--", "-odd name"]


def test_folder_of_logs_that_is_removed_is_made_again(instead: Callable[[str], Path]) -> None:
    folder = instead("print('here')")
    workers = make_workers(folder, CPU)
    workers.log = lambda index: folder / "logs" / f"worker-{index}.log"
    run(workers)
    assert (folder / "logs" / "worker-0.log").read_text() == "here\n"
    shutil.rmtree(folder / "logs")
    assert workers._log_tail(0) == "Its log cannot be read: No such file or directory."


@pytest.mark.parametrize("is_over", [True, False])
def test_suspended_worker_is_killed_once_there_is_no_work_left(
    instead: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_over: bool,
) -> None:
    monkeypatch.setattr(local_workers, "GRACE_S", 0.3)
    monkeypatch.setattr(local_workers, "LOOK_S", 0.02)
    folder = instead("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    workers = make_workers(folder, CPU)
    workers.find_answering = lambda: set() if is_over else None
    workers.start()
    (process,) = workers._processes.values()
    end = time.monotonic() + (10 if is_over else 1)
    while workers.poll() and time.monotonic() < end:
        time.sleep(0.02)
    assert (process.poll() == -signal.SIGKILL) == is_over
    assert ("worker 0 is killed: it does not answer" in caplog.text) == is_over
    workers.stop()


def test_worker_that_answers_may_finish_its_uploads(
    instead: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_workers, "GRACE_S", 0.1)
    monkeypatch.setattr(local_workers, "LOOK_S", 0.02)
    folder = instead("import time; time.sleep(1); print('uploaded')")
    workers = make_workers(folder, CPU)
    workers.find_answering = lambda: {it.pid for it in workers._processes.values()}
    run(workers)
    assert (folder / "worker-0.log").read_text() == "uploaded\n"


def test_workers_answer_while_their_heartbeats_are_recent(opened: OpenStudy) -> None:
    read = follow_status(opened.store, opened.name)
    register_worker(opened.store, opened.study_id)
    assert local_workers.find_answering(read()) is None  # There is work.
    end_study(opened.store, opened.study_id, "Nothing is left.")
    assert local_workers.find_answering(read()) == {os.getpid()}
    with opened.store.write() as connection:
        connection.execute(workers_table.update().values(last_seen=0.0))
    assert local_workers.find_answering(read()) == set()


def test_real_worker_that_cannot_join_ends_the_run_with_its_message(
    opened: OpenStudy, tmp_path: Path
) -> None:
    workers = LocalWorkers(
        "nothing",
        devices=(CPU,),
        store_url=f"sqlite:///{tmp_path / 'store.db'}",
        n_threads=1,
        log=lambda index: tmp_path / f"worker-{index}.log",
    )
    with pytest.raises(WorkerStartError, match=r"There is no study 'nothing'.*Studies.*: small"):
        run(workers)
