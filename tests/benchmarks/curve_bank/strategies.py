"""Search strategies for the replay: those of others, today's, and candidates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from optuna.pruners import MedianPruner, NopPruner

from search.strategy.pruner import make_pruner
from spaces import SearchSpace
from tests.benchmarks.curve_bank.bank import Network, Pool
from tests.benchmarks.curve_bank.simulation import Decision, Search, Strategy, Training, quota

MAX_EPOCHS = 20


class ToTheEnd:
    """Trains every network to its end, or to where the pruner of the study ends it."""

    def next(self, search: Search) -> Training | None:
        return search.begin()

    def decide(self, search: Search, training: Training) -> Decision:
        return Decision.PRUNE if training.trial.should_prune() else Decision.GO_ON


@dataclass
class OneEpoch:
    """Trains `n_first` networks for one epoch, then the best `n_best` of them to their end."""

    n_first: int = 30
    n_best: int = 5

    def next(self, search: Search) -> Training | None:
        if len(search.trainings) < self.n_first and (begun := search.begin()) is not None:
            return begun
        first = sorted(search.trainings, key=_first_value, reverse=True)[: self.n_best]
        paused = [it for it in first if it.is_paused]
        if paused:
            return paused[0]
        if any(it.n_epochs == 0 for it in search.trainings):
            return None
        rest = [it for it in search.trainings if it.is_paused]
        return max(rest, key=_first_value, default=None)

    def decide(self, search: Search, training: Training) -> Decision:
        return Decision.PAUSE if training.n_epochs == 1 else Decision.GO_ON


def _first_value(training: Training) -> float:
    return training.values[0] if training.n_epochs else 0.0


@dataclass
class Promotion:
    """Asynchronous successive halving: trials pause at rungs, and the best share is promoted.

    A trial that is among the best at its rung when it arrives goes on at once. When all networks
    were begun, the best paused trials go on to their ends.
    """

    first: int = 2
    factor: int = 3
    rungs: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        n = int(math.log(MAX_EPOCHS * 2 / self.first, self.factor)) + 1
        self.rungs = [self.first * self.factor**i for i in range(n)]

    def next(self, search: Search) -> Training | None:
        for rung in reversed(self.rungs):
            candidate = self._promotable(search, rung)
            if candidate is not None:
                return candidate
        begun = search.begin()
        if begun is not None:
            return begun
        paused = [it for it in search.trainings if it.is_paused]
        return max(paused, key=lambda it: it.best, default=None)

    def _promotable(self, search: Search, rung: int) -> Training | None:
        reached = [it for it in search.trainings if self._has_reached(it, rung)]
        top = sorted(reached, key=lambda it: _best_until(it, rung), reverse=True)
        top = top[: len(reached) // self.factor]
        return next((it for it in top if it.is_paused and it.n_epochs == rung), None)

    @staticmethod
    def _has_reached(training: Training, rung: int) -> bool:
        return training.n_epochs >= rung or training.state.is_finished()

    def decide(self, search: Search, training: Training) -> Decision:
        rung = training.n_epochs
        if rung not in self.rungs:
            return Decision.GO_ON
        reached = [it for it in search.trainings if self._has_reached(it, rung)]
        better = sum(_best_until(it, rung) > training.best for it in reached)
        return Decision.GO_ON if better < len(reached) // self.factor else Decision.PAUSE


def _best_until(training: Training, epoch: int) -> float:
    return max(training.values[:epoch], default=0.0)


Make = Callable[[Pool, SearchSpace, int], tuple[Search, Strategy]]


def known_good(pool: Pool, space: SearchSpace) -> list[Network]:
    """Return the known-good networks in the order in which a study begins with them."""
    n = quota(space) or 10
    numbers = {family: len(space.with_only(family).known_good()) for family in space.families}
    found = [it for it in pool if it.number < min(numbers[it.family], n)]
    order = {family: i for i, family in enumerate(space.families)}
    return sorted(found, key=lambda it: (it.number, order[it.family]))


def _product(strategy: Callable[[], Strategy], pruner: str = "none", sampler: str = "tpe") -> Make:
    def make(pool: Pool, space: SearchSpace, seed: int) -> tuple[Search, Strategy]:
        n = quota(space)
        pruning = make_pruner(pruner, MAX_EPOCHS, n_phases=space.n_phases, family_trials=n)
        search = Search(
            pool, space, seed, sampler, pruning, family_trials=n, queue=known_good(pool, space)
        )
        return search, strategy()

    return make


def _bare(sampler: str, pruner: Callable[[], object] = NopPruner) -> Make:
    def make(pool: Pool, space: SearchSpace, seed: int) -> tuple[Search, Strategy]:
        return Search(pool, space, seed, sampler, pruner()), ToTheEnd()

    return make


STRATEGIES: dict[str, Make] = {
    "random": _bare("random"),
    "TPE": _bare("tpe"),
    "TPE + median": _bare("tpe", lambda: MedianPruner(5, 4)),
    "Hyperband": _bare("tpe", lambda: make_pruner("hyperband", MAX_EPOCHS)),
    "one epoch, top 5": _product(OneEpoch),
    "today": _product(ToTheEnd, "auto"),
    "today, none": _product(ToTheEnd),
    "promotion": _product(Promotion),
    "promotion 4": _product(lambda: Promotion(4, 2)),
}
