"""Stores that are unavailable, locked or full for a while: workers wait, nothing is lost."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import StudyStatus
from storage import Store
from tests.tools.postgres_server import PostgresServer

HOLD_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


def has_begun(status: StudyStatus) -> bool:
    return status.n_done >= 2


@pytest.mark.slow
def test_database_that_is_restarted_loses_nothing_and_no_worker(
    make_postgres_fleet: Callable[..., Any], postgres_server: PostgresServer
) -> None:
    fleet = make_postgres_fleet(n_trials=12, n_workers=2, environment={"FLEET_EPOCH_S": "1.0"})
    run = fleet.run()
    fleet.wait_for(has_begun)
    before = fleet.pids()
    postgres_server.stop()
    time.sleep(10)
    assert run.is_running
    postgres_server.start()
    done = fleet.status().n_done
    fleet.wait_for(lambda status: status.n_done > done)
    assert fleet.pids() == before
    assert run.wait(120) == 0, run.words
    fleet.check()
    assert fleet.logs().count("waiting for the store: ") == 2
    assert fleet.logs().count("the store is available again") == 2
    assert set(fleet.trained().values()) == {1}


@pytest.mark.slow
def test_worker_that_waits_for_its_store_leaves_within_seconds_when_asked(
    make_postgres_fleet: Callable[..., Any], postgres_server: PostgresServer
) -> None:
    fleet = make_postgres_fleet(n_trials=12, n_workers=2, environment={"FLEET_EPOCH_S": "1.0"})
    run = fleet.run()
    fleet.wait_for(has_begun)
    postgres_server.stop()
    time.sleep(5)
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait(30) == 130, run.words
    assert time.monotonic() - started < 15
    assert "Traceback" not in run.words
    postgres_server.start()
    again = fleet.run()
    assert again.wait(120) == 0, again.words
    fleet.check()


@pytest.mark.slow
def test_store_that_another_process_locks_for_long_is_waited_for(
    make_sqlite_fleet: Callable[..., Any],
) -> None:
    fleet = make_sqlite_fleet(n_trials=8, n_workers=2, environment={"FLEET_EPOCH_S": "0.5"})
    run = fleet.run()
    fleet.wait_for(has_begun)
    before = fleet.pids()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(fleet.folder / "store.db"), "20"],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    done = fleet.status().n_done
    time.sleep(18)
    assert run.is_running
    assert fleet.pids() == before
    assert fleet.status().n_done == done
    holder.wait(30)
    assert run.wait(120) == 0, run.words
    fleet.check()
    assert "database is locked" in fleet.logs()
    assert set(fleet.trained().values()) == {1}


@pytest.mark.slow
def test_store_that_is_full_is_waited_for_until_there_is_room(
    make_sqlite_fleet: Callable[..., Any], tmp_path: Path
) -> None:
    fleet = make_sqlite_fleet(n_trials=8, n_workers=2, environment={"FLEET_EPOCH_S": "0.5"})
    run = fleet.run()
    fleet.wait_for(has_begun)
    finished = {row.number: row.value for row in fleet.status().trials if row.value is not None}
    with limited_to_its_size(fleet):
        time.sleep(10)
        assert run.is_running
        status = fleet.status()
        assert {row.number: row.value for row in status.trials}.items() >= finished.items()
    assert run.wait(120) == 0, run.words
    fleet.check()
    assert "waiting for the store: " in fleet.logs()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "embedded"])
def test_run_whose_store_is_deleted_ends_with_an_error_and_makes_no_new_one(
    kind: str, request: pytest.FixtureRequest
) -> None:
    make = request.getfixturevalue(f"make_{kind}_fleet")
    fleet = make(n_trials=100, n_workers=2, environment={"FLEET_EPOCH_S": "0.2"})
    run = fleet.run()
    fleet.wait_for(has_begun)
    place = Store.file_of(fleet.url)
    assert place is not None
    if kind == "sqlite":
        for name in ("", "-wal", "-shm"):
            place.with_name(place.name + name).unlink(missing_ok=True)
    else:
        while place.exists():  # The server makes files while they are removed.
            shutil.rmtree(place, ignore_errors=True)
    assert run.wait(60) == 1, run.words
    assert "was deleted or moved while it was in use. If it was moved" in run.words
    assert f"Weights and checkpoints are still in {fleet.folder / 'files'}" in run.words
    assert "Traceback" not in run.words + fleet.logs()
    assert not place.exists()
    assert run.trainers() == []


class limited_to_its_size:  # noqa: N801
    """A limit on the size of files for all workers of a fleet: there is no room for more."""

    def __init__(self, fleet: Any) -> None:
        import psutil

        self.workers = [psutil.Process(pid) for pid in fleet.pids()]

    def __enter__(self) -> None:
        import psutil

        for worker in self.workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (4096, psutil.RLIM_INFINITY))

    def __exit__(self, *_: object) -> None:
        import psutil

        for worker in self.workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
