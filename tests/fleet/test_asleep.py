"""Workers that are stopped for longer than their grace: one result only, and they let go."""

import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psutil
import pytest

from storage import Store
from storage.tables import leases

GRACE_S = 4.5
ENVIRONMENT = {"CONVSEARCH_GRACE_S": str(GRACE_S), "FLEET_EPOCH_S": "0.5"}


def wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + 60
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def held_by(fleet: Any, pid: int) -> int | None:
    """Return the number of the trial that a process holds."""
    workers = {worker.pid: worker.trial_number for worker in fleet.status().workers}
    return workers.get(pid)


def put_to_sleep(fleet: Any, process: Any) -> int:
    """Stops a worker that holds a trial, and gives the trial's number.

    Not amid a transaction: one that is asleep keeps a SQLite file locked until it wakes.
    """
    while True:
        fleet.wait_for(lambda _: held_by(fleet, process.popen.pid) is not None)
        process.signal(signal.SIGSTOP)
        wait_until_stopped(process.popen.pid)
        if is_free(fleet.url) and (number := held_by(fleet, process.popen.pid)) is not None:
            return number
        process.signal(signal.SIGCONT)
        time.sleep(0.05)


def is_free(url: str) -> bool:
    """Whether no process keeps a SQLite file locked; a server has no such lock."""
    path = Store.file_of(url)
    if path is None or not path.is_file():
        return True
    with closing(sqlite3.connect(path, timeout=2)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
        return True


def outcomes(fleet: Any) -> list[tuple[int, str, str]]:
    with fleet.store() as store, store.read() as connection:
        columns = (leases.c.trial_number, leases.c.kind, leases.c.outcome)
        rows = connection.execute(leases.select().with_only_columns(*columns))
        return sorted(tuple(row) for row in rows)


@pytest.mark.slow
def test_suspended_worker_gives_up_its_trial_and_continues_with_others(
    make_fleet: Callable[..., Any],
) -> None:
    fleet = make_fleet(n_trials=14, environment=ENVIRONMENT)
    fleet.submit()
    sleeper, other = fleet.worker(), fleet.worker()
    number = put_to_sleep(fleet, sleeper)
    fleet.wait_for(lambda status: status.trials[number].state == "COMPLETE")
    before = outcomes(fleet)
    sleeper.signal(signal.SIGCONT)
    assert [process.wait(120) for process in (sleeper, other)] == [0, 0]
    fleet.check()
    assert outcomes(fleet)[number] == before[number]
    assert "was taken by another worker" in sleeper.words
    told = [line for line in sleeper.words.splitlines() if ": complete" in line]
    assert told
    assert not any(f"trial {number}: complete" in line for line in told)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["record_outcome", "_tell_optuna"])
def test_worker_suspended_between_check_and_write_writes_nothing_twice(
    make_fleet: Callable[..., Any], moment: str
) -> None:
    fleet = make_fleet(n_trials=5, environment=ENVIRONMENT)
    fleet.submit()
    sleeper = fleet.worker(FLEET_STOPS_AT=moment)
    wait_until_stopped(sleeper.popen.pid)
    number = held_by(fleet, sleeper.popen.pid) or 0
    other = fleet.worker()
    fleet.wait_for(lambda status: status.trials[number].state == "COMPLETE")
    before = outcomes(fleet)[number]
    sleeper.signal(signal.SIGCONT)
    assert [process.wait(120) for process in (sleeper, other)] == [0, 0]
    fleet.check()
    assert outcomes(fleet)[number] == before
    assert ("was taken by another worker" in sleeper.words) is (moment == "record_outcome")
    assert ("had ended already" in sleeper.words) is (moment == "_tell_optuna")
