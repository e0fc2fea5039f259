"""Samplers: seeded by the trial's number, with the family fixed during the fair start."""

import random
import runpy
from pathlib import Path

import optuna
import pytest

from search.strategy.sampler import N_STARTUP_TRIALS, SAMPLERS, make_sampler
from search.strategy.seeds import derive_seed
from spaces import SearchSpace

COMPARISON = runpy.run_path(
    str(Path(__file__).parents[2] / "benchmarks" / "sampler_comparison.py")
)
SPACE = SearchSpace.create(["plain", "vgg", "dense"])


def make_study(n_trials: int = N_STARTUP_TRIALS + 5) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=make_sampler("random", 0))
    for number in range(n_trials):
        trial = study.ask()
        SPACE.suggest(trial)
        study.tell(trial, number / n_trials)
    return study


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("family", SPACE.families)
def test_fixed_family_is_drawn_with_everything_else_sampled(name: str, family: str) -> None:
    study = make_study()
    study.sampler = make_sampler(name, 0, fixed={"family": family})
    trials = [study.ask() for _ in range(3)]
    configs = [SPACE.suggest(trial) for trial in trials]
    assert {config.family for config in configs} == {family}
    assert len({config.key() for config in configs}) == 3


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_worker_draws_the_same_config_for_a_trial(name: str) -> None:
    draws = []
    for _ in range(2):
        study = make_study()
        study.sampler = make_sampler(name, 7)
        draws.append(SPACE.suggest(study.ask()))
    assert draws[0] == draws[1]


def test_seeds_differ_by_study_trial_and_stream() -> None:
    seeds = [derive_seed(s, n, stream) for s in range(3) for n in range(20) for stream in (0, 1)]
    assert len(set(seeds)) == len(seeds)


def test_objectives_of_the_comparison_are_best_at_their_optimum() -> None:
    landscape = COMPARISON["Landscape"](SPACE, 0)
    params = {"family": "plain", "dropout": 0.6 * landscape.terms["plain"]["dropout"].optimum}
    assert landscape.value(params) == pytest.approx(landscape.ceilings["plain"])
    rng = random.Random(0)
    for _ in range(50):
        config = SPACE.random_config(rng)
        params = {"family": config.family, "dropout": config.layers.dropout}
        assert landscape.value(params) <= landscape.ceilings[config.family]


@pytest.mark.parametrize("policy", COMPARISON["POLICIES"])
def test_every_policy_of_the_comparison_spends_its_budget(policy: str) -> None:
    landscape = COMPARISON["Landscape"](SPACE, 1)
    result = COMPARISON["run_policy"](policy, landscape, 14, 1)
    assert 0.25 < result.chosen <= result.best <= COMPARISON["CEILING"]
