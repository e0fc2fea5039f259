"""Storms: workers and trainers are killed at random, and the study comes out exact and whole."""

import contextlib
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from storage import TrialRow
from storage.coordination.leases import MAX_LOSSES

PAUSE_S = 1.0


def finished(rows: tuple[TrialRow, ...] | list[TrialRow]) -> dict[int, Any]:
    return {row.number: row.outcome for row in rows if row.state in {"COMPLETE", "FAIL"}}


def kill_one(fleet: Any, run: Any, rng: random.Random) -> bool:
    """Kill a random worker or trainer, unless its trial would fail as lost too often.

    How many epochs a trial gains between two kills depends on the machine, so that on a slow one
    every trial might be lost three times without an epoch in between.
    """
    running = sorted(run.workers() + run.trainers(), key=lambda process: process.pid)
    spared = fleet.holders_of_lost_trials(MAX_LOSSES - 1)
    with contextlib.suppress(psutil.NoSuchProcess):
        victims = [it for it in running if not {it.pid, it.ppid()} & spared]
        if victims and None not in spared:
            rng.choice(victims).send_signal(signal.SIGKILL)
            return True
    return False


def storm(fleet: Any, *, n_kills: int, seed: int, timeout_s: float) -> None:
    """Run a study while its processes are killed, and check that no finished trial is lost."""
    rng = random.Random(seed)
    run = fleet.run()
    fleet.wait_for(lambda status: status.trials, 120)
    known: dict[int, Any] = {}
    killed = 0
    round_at = time.monotonic()
    deadline = round_at + timeout_s
    while run.is_running and time.monotonic() < deadline:
        if killed < n_kills:
            killed += kill_one(fleet, run, rng)
        rows = fleet.status().trials
        assert known.items() <= finished(rows).items()
        known = finished(rows)
        round_at += PAUSE_S  # A slow look delays no kill: the study may be over before all are.
        time.sleep(max(0.0, round_at - time.monotonic()))
    assert run.wait(10) == 0, run.words
    assert killed == n_kills
    fleet.check()
    assert known.items() <= finished(fleet.status().trials).items()


def test_study_survives_a_storm(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(n_trials=24, n_epochs=4, environment={"FLEET_EPOCH_S": "0.8"})
    storm(fleet, n_kills=20, seed=1, timeout_s=240)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_study_survives_a_long_storm(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(n_trials=60, n_epochs=6, environment={"FLEET_EPOCH_S": "0.8"})
    storm(fleet, n_kills=80, seed=2, timeout_s=1500)
