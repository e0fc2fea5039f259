"""TPE in groups: its proposals are those of Optuna's own sampler."""

import random
from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from search.strategy.tpe import GroupTPE


def draw(trial: optuna.Trial) -> dict[str, Any]:
    family = trial.suggest_categorical("family", ["plain", "vgg", "dense"])
    trial.suggest_float("rate", 1e-5, 1, log=True)
    if family == "plain":
        for stage in range(trial.suggest_int("stages", 1, 3)):
            trial.suggest_int(f"stage{stage}", 8, 128)
    elif family == "vgg":
        trial.suggest_int("blocks", 1, 4)
    return trial.params


def make_study() -> optuna.Study:
    """A study with complete, pruned, failed, running and infeasible trials."""
    rng = random.Random(1)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1)
    )
    for number in range(60):
        trial = study.ask()
        draw(trial)
        trial.set_constraint("size", rng.uniform(-1, 0.3))
        trial.report(rng.random(), 1)
        if number % 10 < 6:
            study.tell(trial, rng.random())
        elif number % 10 < 9:
            states = (TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL)
            study.tell(trial, state=states[number % 10 - 6])
    study.ask().suggest_categorical("family", ["plain", "vgg", "dense"])  # It has no rate yet.
    return study


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_proposals_are_those_of_optuna(seed: int) -> None:
    proposals = []
    options: dict[str, Any] = {"seed": seed, "n_startup_trials": 10}
    optunas = TPESampler(multivariate=True, group=True, constant_liar=True, **options)
    for sampler in (optunas, GroupTPE(**options)):
        study = make_study()
        study.sampler = sampler
        proposals.append(draw(study.ask()))
    assert proposals[0] == proposals[1]
