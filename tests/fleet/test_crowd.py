"""Crowds: many workers on one store, with a stand-in for training: exact, and no deadlock."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORKER = str(Path(__file__).with_name("instant_worker.py"))


def crowd(fleet: Any, n_workers: int, timeout_s: float) -> None:
    fleet.submit()
    crowd = [fleet.start_script(WORKER, fleet.url) for _ in range(n_workers)]
    for process in crowd:
        assert process.wait(timeout_s) == 0, process.words
    fleet.check()
    assert not any("Traceback" in process.words for process in crowd)


@pytest.mark.slow
def test_crowd_of_eight_spends_the_budget_exactly(make_fleet: Callable[..., Any]) -> None:
    crowd(make_fleet(n_trials=48), 8, 120)


@pytest.mark.slow
def test_crowd_of_thirty_two_spends_the_budget_exactly(
    make_postgres_fleet: Callable[..., Any],
) -> None:
    crowd(make_postgres_fleet(n_trials=400), 32, 500)
