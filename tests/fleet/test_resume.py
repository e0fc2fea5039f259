"""A trial that loses its trainer or worker goes on from its checkpoint, to the same end."""

import re
import signal
from collections.abc import Callable
from typing import Any

import pytest

from storage import load_curve


def run_unkilled(fleet: Any) -> None:
    assert fleet.run().wait(500) == 0


def curves(fleet: Any) -> list[list[float]]:
    rows = fleet.status().trials
    with fleet.store() as store:
        return [[it.val_accuracy for it in load_curve(store, row.trial_id)] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["trainers", "workers"])
def test_killed_trial_ends_as_an_unkilled_one(
    make_sqlite_fleet: Callable[..., Any], victim: str
) -> None:
    options = {"n_trials": 1, "n_workers": 1, "n_epochs": 8, "n_images": 4000, "is_real": True}
    unkilled = make_sqlite_fleet(**options, name="unkilled")
    run_unkilled(unkilled)
    killed = make_sqlite_fleet(**options, name="killed")
    run = killed.run()
    killed.wait_for(lambda status: status.trials and status.trials[0].curve.n_epochs >= 3, 300)
    at = killed.status().trials[0].curve.n_epochs
    for process in getattr(run, victim)():
        process.send_signal(signal.SIGKILL)
    assert run.wait(500) == 0, run.words
    assert curves(killed) == curves(unkilled)
    assert [row.value for row in killed.status().trials] == [
        row.value for row in unkilled.status().trials
    ]
    went_on = re.search(r"resumes after epoch (\d+)", killed.logs())
    assert went_on is not None
    assert int(went_on[1]) >= at
