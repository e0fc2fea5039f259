"""Replay search strategies over recorded curves, and compare what they find in some seconds.

    python -m tests.benchmarks.curve_bank.replay [--seconds 600] [--rounds 10] [NAME ...]

For each set of images and strategy: the area (what the best so far lacks to the best network of
the bank, averaged over the time) and the regret at the end, in points of accuracy, as means over
rounds with the half-width of their 95 % interval. The last lines are over all sets.
"""

import argparse
import statistics
import warnings
from collections import defaultdict

import optuna

from spaces import SearchSpace
from tests.benchmarks.curve_bank.bank import Pool, read_pools
from tests.benchmarks.curve_bank.simulation import area
from tests.benchmarks.curve_bank.strategies import STRATEGIES


def judge(
    name: str, pool: Pool, families: list[str], seed: int, seconds: float
) -> tuple[float, float, int]:
    """Return area and regret of one search in points, and its number of trials."""
    pool = [it for it in pool if it.family in families]
    search, strategy = STRATEGIES[name](pool, SearchSpace.create(families), seed)
    search.run(strategy, seconds)
    top = max(it.best(seed % len(it.curves)) for it in pool)
    found = search.steps[-1][1] if search.steps else 0.0
    return 100 * area(search, seconds, top), 100 * (top - found), len(search.trainings)


def interval(values: list[float]) -> str:
    """Format a mean with the half-width of its 95 % interval."""
    half = 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):6.2f} ±{half:5.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", default=list(STRATEGIES))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--families", nargs="+")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    pools = {name: pool for (name, size), pool in read_pools().items() if size == options.size}
    print(f"{'set':12}{'strategy':20}{'area':>14}{'regret':>14}  trials")
    sums: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for set_name, pool in pools.items():
        families = options.families or sorted({it.family for it in pool})
        for name in options.names:
            rounds = [
                judge(name, pool, families, seed, options.seconds)
                for seed in range(options.rounds)
            ]
            sums[name] += rounds
            show(set_name, name, rounds)
    for name, rounds in sums.items():
        show("all", name, rounds)


def show(set_name: str, name: str, rounds: list[tuple[float, float, int]]) -> None:
    """Print a line of the table."""
    areas, regrets, numbers = (list(it) for it in zip(*rounds, strict=True))
    print(
        f"{set_name:12}{name:20}{interval(areas):>14}{interval(regrets):>14}"
        f"{statistics.mean(numbers):8.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
