"""The replay of search strategies over recorded curves, on curves that are made up."""

import json
import random

import optuna
import pytest

from spaces import SearchSpace
from tests.benchmarks.curve_bank.bank import Pool, nearest, read_pools
from tests.benchmarks.curve_bank.record import SEEDS, RecordingTrial
from tests.benchmarks.curve_bank.simulation import Decision, Search, area
from tests.benchmarks.curve_bank.strategies import STRATEGIES, Promotion

FAMILIES = ["plain", "vgg"]
SECONDS = 90


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """Return ten networks of each of two families, whose curves rise to different ends."""
    path = tmp_path_factory.mktemp("bank") / "curves.jsonl"
    with path.open("w") as file:
        for family in FAMILIES:
            space = SearchSpace.create([family])
            for number in range(10):
                rng = random.Random(f"{family} {number}")
                trial = RecordingTrial(rng)
                space.suggest(trial)
                end = rng.randrange(150, 290)
                for seed in SEEDS:
                    record = {
                        "set_name": "made up", "size": 32, "family": family, "number": number,
                        "seed": seed, "params": trial.suggested, "n_val": 300,
                        "correct": [int(end * (1 - 0.6**epoch)) + seed for epoch in range(1, 9)],
                        "seconds": [rng.choice([0.5, 1.0, 2.0])] * 8,
                    }  # fmt: skip
                    file.write(json.dumps(record) + "\n")
    ((key, found),) = read_pools(path).items()
    assert key == ("made up", 32)
    assert len(found) == 20
    return found


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_to_the_time_and_trains_no_network_twice(
    name: str, pool: Pool
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search, strategy = STRATEGIES[name](pool, SearchSpace.create(FAMILIES), 0)
    search.run(strategy, SECONDS)
    networks = [id(it.network) for it in search.trainings]
    assert len(networks) == len(set(networks)) > 5
    times, values = zip(*search.steps, strict=True)
    assert list(times) == sorted(times)
    assert times[-1] <= SECONDS
    assert list(values) == sorted(set(values))
    spent = sum(sum(it.curve.seconds[: it.n_epochs]) for it in search.trainings)
    assert spent <= 2 * SECONDS


def test_promoted_trial_goes_on_where_it_paused(pool: Pool) -> None:
    space = SearchSpace.create(FAMILIES)
    search, strategy = Search(pool, space, 0, "random"), Promotion(first=2, factor=3)
    first = search.begin()
    assert first is not None
    first.n_epochs = 2
    assert strategy.decide(search, first) is Decision.PAUSE  # There is nothing to compare it with.
    first.is_paused = True
    for _ in range(3):
        other = search.begin()
        assert other is not None
        other.n_epochs, other.is_paused = 2, True
    best = max(search.trainings, key=lambda it: it.best)
    promoted = strategy.next(search)
    assert promoted is best
    assert promoted.n_epochs == 2


def test_area_is_what_lacks_over_the_time(pool: Pool) -> None:
    search = Search(pool, SearchSpace.create(FAMILIES), 0)
    search.steps = [(10.0, 0.5), (60.0, 0.9)]
    assert area(search, 100, 1.0) == pytest.approx((10 * 1.0 + 50 * 0.5 + 40 * 0.1) / 100)


def test_nearest_network_is_of_the_wanted_family_and_most_alike(pool: Pool) -> None:
    space = SearchSpace.create(FAMILIES)
    for network in pool:
        assert nearest(pool, network.params, space.domains) is network
