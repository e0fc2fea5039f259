"""Hung trainers: the silence limit ends them, and their trials go on from the checkpoint."""

import re
from collections.abc import Callable
from typing import Any


def test_hung_trainer_is_killed_and_its_trial_is_resumed(
    make_sqlite_fleet: Callable[..., Any],
) -> None:
    fleet = make_sqlite_fleet(
        n_trials=3,
        n_workers=1,
        training="silence_timeout = 6",
        environment={"FLEET_HANGS": "trial-1", "FLEET_EPOCH_S": "0.2"},
    )
    run = fleet.run()
    assert run.wait(90) == 0, run.words
    fleet.check()
    assert re.search(r"trial 1: no message from its trainer for [67] s; it is ended", fleet.logs())
    assert fleet.trained()["trial-1", 1] == 1
    assert fleet.trained()["trial-1", 2] == 2
