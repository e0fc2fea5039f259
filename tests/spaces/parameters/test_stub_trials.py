"""Trials without Optuna: one that prefers given values, and one that counts all points."""

import pytest

from spaces.parameters.stub_trials import EnumeratingTrial, PreferredTrial, UncountableSpaceError


def test_guided_trial_takes_preferred_values() -> None:
    trial = PreferredTrial({"optimizer": "sgd", "units": 64, "rate": 0.01})
    assert trial.suggest_categorical("optimizer", ("adam", "sgd")) == "sgd"
    assert trial.suggest_int("units", 32, 512, log=True) == 64
    assert trial.suggest_float("rate", 0.001, 0.1, log=True) == 0.01
    assert trial.suggested == {"optimizer": "sgd", "units": 64, "rate": 0.01}


def test_guided_trial_stays_within_the_domain() -> None:
    trial = PreferredTrial({"a": "x", "b": 100, "c": 9, "d": 5.0, "e": 33})
    assert trial.suggest_categorical("a", ("p", "q")) == "p"
    assert trial.suggest_categorical("b", (16, 32, 64)) == 64
    assert trial.suggest_int("c", 3, 6) == 6
    assert trial.suggest_float("d", 0.0, 0.6) == 0.6
    assert trial.suggest_int("e", 8, 62, step=8) == 32


def test_guided_trial_takes_the_middle_without_a_preference() -> None:
    trial = PreferredTrial({})
    assert trial.suggest_float("rate", 1e-4, 1e-2, log=True) == pytest.approx(1e-3)
    assert trial.suggest_int("n", 1, 5) == 3
    assert trial.suggest_categorical("flag", (True, False)) is True


def test_counting_trial_draws_every_point_once() -> None:
    prefix: list[int] | None = []
    points = []
    while prefix is not None:
        trial = EnumeratingTrial(prefix)
        depth = trial.suggest_int("depth", 1, 2)
        point = [depth, *(trial.suggest_categorical("kind", "ab") for _ in range(depth))]
        points.append(tuple(point))
        prefix = trial.next_prefix()
    assert points == [
        *((1, kind) for kind in "ab"),
        *((2, first, second) for first in "ab" for second in "ab"),
    ]


def test_counting_trial_refuses_floats() -> None:
    with pytest.raises(UncountableSpaceError, match="`rate`"):
        EnumeratingTrial([]).suggest_float("rate", 0.0, 1.0)
