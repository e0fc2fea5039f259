"""Compare samplers on a space of several families, to choose the default one.

The objectives are synthetic functions on the real search space: its families with their domains,
their known-good configs, and the real limits, which refuse some proposals. Each objective has a
ceiling for every family, a smooth optimum in the family's own and in the common parameters,
interactions, and as much noise as there is between two seeds of one training. The start of a
study is that of the product. Run it as
`python tests/benchmarks/sampler_comparison.py [--seeds 20] [--budgets 30 100] [POLICY ...]`.
"""

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from search.strategy.family_quota import MAX_EPOCHS, next_family, trials_per_family
from search.strategy.sampler import N_STARTUP_TRIALS, SeededSampler
from search.studies.initial_trials import KNOWN_GOOD_SHARE
from spaces import Limits, SearchSpace, SpaceError, family_names, predict_cost
from spaces.parameters.domain_types import Choices, Domain, Value

LIMITS = Limits(max_parameters=10_000_000, max_memory_mb=2500, max_operations=150_000_000)
IMAGE_SHAPE, N_CLASSES = (32, 32, 1), 4
CHANCE, CEILING = 0.25, 0.91
STEEPNESS = 0.5  # Puts the median of random configs near 0.82, as in the recorded trainings.
NOISE = 0.005
WITHIN = 0.005
PRUNED_SHARE = 0.5  # About the share that the default pruner stops.
N_PAIRS = 4

Params = Mapping[str, Any]
Make = Callable[[int], BaseSampler]


@dataclass(frozen=True, slots=True)
class Term:
    """What one parameter costs: nothing at its optimum, and the most far from it."""

    domain: Domain
    optimum: float
    losses: Mapping[Value, float]

    def distance(self, value: Value) -> float:
        """Return the distance of a value from the optimum, signed for numbers."""
        return self.losses[value] if self.losses else place(self.domain, value) - self.optimum


def place(domain: Domain, value: Value) -> float:
    """Return where a number lies in its range, 0 to 1, on the range's own scale."""
    if isinstance(domain, Choices) or isinstance(value, str):
        raise TypeError(f"Expected a range. Received: {domain}.")
    low, high = domain.low, domain.high
    if domain.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


class Landscape:
    """True accuracies over a space; equal seeds give equal landscapes."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space = space
        rng = np.random.default_rng(seed)
        gaps = np.concatenate([[0.0], rng.uniform(0.005, 0.06, len(space.families) - 1)])
        self.ceilings = dict(zip(space.families, CEILING - rng.permutation(gaps), strict=True))
        good = {params["family"]: params for params in reversed(space.known_good())}
        weights = rng.dirichlet(np.full(len(space.domains), 0.4))
        self.weights = dict(zip(space.domains, weights * len(weights), strict=True))
        shared = {name: self._term(rng, d, good, name) for name, d in space.domains.items()}
        self.terms = {
            family: {name: self._move(rng, term) for name, term in shared.items()}
            for family in space.families
        }
        numbers = [name for name, term in shared.items() if not term.losses]
        self.pairs = [tuple(rng.choice(numbers, 2, replace=False)) for _ in range(N_PAIRS)]

    def value(self, params: Params) -> float:
        """Return the accuracy that many trainings would have on average."""
        terms = self.terms[params["family"]]
        active = {n: terms[n].distance(v) for n, v in params.items() if n in terms}
        loss = sum(self.weights[name] * d * d for name, d in active.items())
        loss += sum(
            (active[one] + active[other]) ** 2
            for one, other in self.pairs
            if one in active and other in active
        )
        ceiling = float(self.ceilings[params["family"]])
        n_acting = max(1, len(active))
        return CHANCE + (ceiling - CHANCE) * math.exp(-STEEPNESS * loss * 2 / n_acting)

    @staticmethod
    def _term(
        rng: np.random.Generator, domain: Domain, good: Mapping[str, Params], name: str
    ) -> Term:
        """Draw a term whose optimum is near the value of a known-good config."""
        known = [params[name] for params in good.values() if name in params]
        if isinstance(domain, Choices):
            losses = dict(
                zip(domain.values, rng.uniform(0.1, 0.7, len(domain.values)), strict=True)
            )
            is_known = known and rng.random() < 0.5
            losses[known[0] if is_known else domain.values[rng.integers(len(domain.values))]] = 0.0
            return Term(domain, 0.0, losses)
        centre = place(domain, known[0]) if known else rng.uniform()
        return Term(domain, float(np.clip(centre + rng.normal(0, 0.25), 0, 1)), {})

    @staticmethod
    def _move(rng: np.random.Generator, term: Term) -> Term:
        """Return the term of one family: its optimum differs a little."""
        if term.losses:
            return term
        return Term(term.domain, float(np.clip(term.optimum + rng.normal(0, 0.1), 0, 1)), {})


@dataclass(slots=True)
class Search:
    """One simulated study: proposals, refusals, pruning, and the best observed config."""

    space: SearchSpace
    landscape: Landscape
    sampler: BaseSampler
    rng: np.random.Generator
    family_trials: int = 0
    is_flat: bool = False
    study: optuna.Study = field(init=False)
    observed: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.study = optuna.create_study(direction="maximize", sampler=self.sampler)

    def enqueue(self, configs: Sequence[Params]) -> None:
        """Enqueue known-good configs before all proposals."""
        for params in configs:
            self.study.enqueue_trial(dict(params))

    def run(self, n_trials: int) -> None:
        """Run until `n_trials` more trials have counted."""
        goal = len(self.observed) + n_trials
        while len(self.observed) < goal:
            self._run_trial()

    @property
    def best(self) -> tuple[float, float]:
        """Return the best observed accuracy, and the true one of that config."""
        return max(self.observed, default=(0.0, 0.0))

    def _run_trial(self) -> None:
        trials = self.study.get_trials(deepcopy=False)
        family = next_family(trials, self.space.families, self.family_trials)
        self.study.sampler = fix_family(self.sampler, family)
        trial = self.study.ask()
        if self.is_flat:
            draw_all(self.space, trial)
        acting = Recorder(trial)
        config = self.space.suggest(acting)
        trial.set_user_attr("config", {"family": config.family})
        overrun = weigh(config)
        trial.set_constraint("size", overrun)
        if overrun > 0:
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        trial.set_user_attr(MAX_EPOCHS, 20)
        self._train(trial, self.landscape.value({"family": config.family, **acting.params}))

    def _train(self, trial: optuna.Trial, true: float) -> None:
        """Observe an accuracy; the lower half is pruned once there are enough to compare with."""
        seen = true + float(self.rng.normal(0, NOISE))
        earlier = [value for value, _ in self.observed]
        self.observed.append((seen, true))
        trial.report(seen, 5)
        has_peers = len(earlier) >= max(6, self.family_trials * len(self.space.families))
        if has_peers and seen < float(np.quantile(earlier, PRUNED_SHARE)):
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, seen)


class Recorder:
    """A trial that keeps the parameters that were drawn from it."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self.params: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def suggest(parameter: str, *args: Any, **kwargs: Any) -> Any:
            self.params[parameter] = getattr(self._trial, name)(parameter, *args, **kwargs)
            return self.params[parameter]

        return suggest


def fix_family(sampler: BaseSampler, family: str | None) -> BaseSampler:
    return sampler if family is None else PartialFixedSampler({"family": family}, sampler)


def draw_all(space: SearchSpace, trial: optuna.Trial) -> None:
    """Draw every parameter of the space, active or not."""
    domains = {"family": Choices(space.families), **space.domains}
    for name, domain in domains.items():
        if not domain.is_fixed:
            domain.suggest(trial, name)


def weigh(config: Any) -> float:
    try:
        return LIMITS.overrun(predict_cost(config, IMAGE_SHAPE, N_CLASSES))
    except SpaceError:
        return 1.0


def make_tpe(**options: Any) -> Make:
    def make(seed: int) -> BaseSampler:
        return TPESampler(
            seed=seed, constant_liar=True, n_startup_trials=N_STARTUP_TRIALS, **options
        )

    return make


GROUP = make_tpe(multivariate=True, group=True)
FLAT = make_tpe(multivariate=True)
INDEPENDENT = make_tpe(multivariate=False)


def run_together(
    landscape: Landscape,
    n_trials: int,
    seed: int,
    make: Make,
    *,
    is_flat: bool = False,
    is_fair: bool = True,
) -> list[tuple[float, float]]:
    """Run one study over all families, with the fair start that studies have."""
    space = landscape.space
    family_trials = trials_per_family(n_trials, len(space.families)) if is_fair else 0
    search = Search(
        space, landscape, SeededSampler(make, seed), np.random.default_rng((seed, n_trials)),
        family_trials=family_trials, is_flat=is_flat,
    )  # fmt: skip
    configs = space.known_good(family_trials or None)
    search.enqueue(configs if is_fair else configs[: n_trials // KNOWN_GOOD_SHARE])
    search.run(n_trials)
    return search.observed


def start_alone(landscape: Landscape, n_trials: int, seed: int) -> list[Search]:
    """Start one study per family, each with the known-good configs that its budget allows."""
    searches = []
    for number, family in enumerate(landscape.space.families):
        space = SearchSpace.create([family])
        rng = np.random.default_rng((seed, n_trials, number))
        search = Search(space, landscape, SeededSampler(GROUP, seed + 1000 * number), rng)
        search.enqueue(space.known_good(max(1, n_trials // KNOWN_GOOD_SHARE)))
        searches.append(search)
    return searches


def run_evenly(landscape: Landscape, n_trials: int, seed: int) -> list[tuple[float, float]]:
    """Run one study per family, with equal parts of the budget."""
    n_families = len(landscape.space.families)
    searches = start_alone(landscape, n_trials // n_families, seed)
    for number, search in enumerate(searches):
        search.run(n_trials // n_families + (number < n_trials % n_families))
    return [seen for search in searches for seen in search.observed]


def run_halving(landscape: Landscape, n_trials: int, seed: int) -> list[tuple[float, float]]:
    """Run one study per family in rounds, after each of which the worse half is dropped."""
    alive = start_alone(landscape, n_trials // len(landscape.space.families), seed)
    searches = list(alive)
    n_rounds = math.ceil(math.log2(len(alive))) + 1
    for number in range(n_rounds):
        n_left = n_trials - sum(len(search.observed) for search in searches)
        n_round = n_left // (n_rounds - number)
        for place_, search in enumerate(alive):
            search.run(n_round // len(alive) + (place_ < n_round % len(alive)))
        alive = sorted(alive, key=lambda s: s.best, reverse=True)[: math.ceil(len(alive) / 2)]
    return [seen for search in searches for seen in search.observed]


POLICIES: dict[str, Callable[[Landscape, int, int], list[tuple[float, float]]]] = {
    "group, unfair": lambda *args: run_together(*args, GROUP, is_fair=False),
    "group": lambda *args: run_together(*args, GROUP),
    "flat": lambda *args: run_together(*args, FLAT, is_flat=True),
    "independent": lambda *args: run_together(*args, INDEPENDENT),
    "a study a family": run_evenly,
    "... halving": run_halving,
    "random": lambda *args: run_together(*args, lambda seed: RandomSampler(seed=seed)),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a policy found: the true accuracy of its best config, and the best one it tried."""

    chosen: float
    best: float
    seconds: float


def run_policy(name: str, landscape: Landscape, n_trials: int, seed: int) -> Result:
    started = time.perf_counter()
    observed = POLICIES[name](landscape, n_trials, seed)
    assert len(observed) == n_trials
    best = max(true for _, true in observed)
    return Result(max(observed)[1], best, time.perf_counter() - started)


def print_table(names: list[str], budgets: list[int], n_seeds: int, families: list[str]) -> None:
    space = SearchSpace.create(families)
    results: dict[tuple[str, int], list[Result]] = {}
    for seed in range(n_seeds):
        landscape = Landscape(space, seed)
        for n_trials in budgets:
            for name in names:
                result = run_policy(name, landscape, n_trials, seed)
                results.setdefault((name, n_trials), []).append(result)
    tops = [max(found[seed].best for found in results.values()) for seed in range(n_seeds)]
    print(f"{n_seeds} objectives over {', '.join(families)}; regret against the best seen")
    print("policy            trials  regret  (error)  within  seconds a study")
    for (name, n_trials), found in sorted(results.items(), key=lambda item: item[0][1]):
        regrets = [top - result.chosen for top, result in zip(tops, found, strict=True)]
        error = statistics.stdev(regrets) / math.sqrt(n_seeds)
        within = statistics.mean(regret <= WITHIN for regret in regrets)
        seconds = statistics.mean(result.seconds for result in found)
        print(
            f"{name:18}{n_trials:6}{statistics.mean(regrets):8.4f}   {error:.4f}{within:8.2f}"
            f"{seconds:10.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(POLICIES)[1:], help="policies to compare")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budgets", type=int, nargs="+", default=[30, 100])
    parser.add_argument("--families", nargs="+", default=list(family_names()))
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print_table(args.names, args.budgets, args.seeds, args.families)


if __name__ == "__main__":
    main()
