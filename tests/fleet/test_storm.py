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

PAUSE_S = 1.0


def finished(rows: tuple[TrialRow, ...] | list[TrialRow]) -> dict[int, Any]:
    return {row.number: row.outcome for row in rows if row.state in {"COMPLETE", "FAIL"}}


def kill_one(run: Any, rng: random.Random) -> bool:
    """Kills a worker or a trainer, whichever the dice say."""
    victims = sorted(run.workers() + run.trainers(), key=lambda process: process.pid)
    if not victims:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        rng.choice(victims).send_signal(signal.SIGKILL)
    return True


def storm(fleet: Any, *, n_kills: int, seed: int, timeout_s: float) -> None:
    """Lets a study run through a storm, and makes sure that no finished trial is lost."""
    rng = random.Random(seed)
    run = fleet.run()
    fleet.wait_for(lambda status: status.trials, 120)
    known: dict[int, Any] = {}
    killed = 0
    round_at = time.monotonic()
    deadline = round_at + timeout_s
    while run.is_running and time.monotonic() < deadline:
        if killed < n_kills:
            killed += kill_one(run, rng)
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
@pytest.mark.parametrize("seed", [2, 3])
def test_study_survives_a_long_storm(make_fleet: Callable[..., Any], seed: int) -> None:
    fleet = make_fleet(n_trials=60, n_epochs=6, environment={"FLEET_EPOCH_S": "0.8"})
    storm(fleet, n_kills=80, seed=seed, timeout_s=1500)
