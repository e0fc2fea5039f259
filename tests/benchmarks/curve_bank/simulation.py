"""A search over recorded curves: workers with a simulated clock, and the product's own proposals.

A proposal of the sampler is replaced by the recorded network that is most like it and has not been
trained in the search; its parameters are those that the sampler learns from.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from search.strategy.family_quota import MAX_EPOCHS, next_family, trials_per_family
from search.strategy.sampler import make_sampler
from spaces import SearchSpace, find_family
from tests.benchmarks.curve_bank.bank import Curve, Network, Pool, nearest

START_S, CONTINUE_S = 1.0, 2.5
"""What a trial needs before its first epoch, and before the next one after a pause: the network is
built and compiled, and its checkpoint is read. The first epoch's compilation is in its seconds."""
PLANNED_TRIALS = 30
"""The budget that the quota of families follows, when a search ends by time."""


class Decision(Enum):
    """What becomes of a trial after an epoch."""

    GO_ON = auto()
    PAUSE = auto()
    PRUNE = auto()


@dataclass(slots=True)
class Training:
    """A trial of a simulated search, and how far it has come."""

    trial: optuna.Trial
    network: Network
    curve: Curve
    n_epochs: int = 0
    state: TrialState = TrialState.RUNNING
    is_paused: bool = False

    @property
    def values(self) -> Sequence[float]:
        """The accuracies of the epochs that were trained."""
        return self.curve.accuracies[: self.n_epochs]

    @property
    def best(self) -> float:
        """The best accuracy so far."""
        return max(self.values, default=0.0)


class Strategy(Protocol):
    """What chooses a free worker's next trial, and what becomes of a trial after each epoch."""

    def next(self, search: "Search") -> Training | None:
        """Return a paused trial or a new one; None if nothing is left to do."""

    def decide(self, search: "Search", training: Training) -> Decision:
        """Decide after an epoch that was not the last one."""


class Proposer:
    """Draws parameters as an Optuna trial would, but keeps them for itself."""

    def __init__(self, study: optuna.Study, trial: FrozenTrial, sampler: BaseSampler) -> None:
        self._study, self._trial, self._sampler = study, trial, sampler
        sampler.before_trial(study, trial)
        space = sampler.infer_relative_search_space(study, trial)
        self._relative = sampler.sample_relative(study, trial, space)
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices."""
        return self._suggest(name, CategoricalDistribution(choices))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> Any:
        """Draw an integer."""
        return self._suggest(name, IntDistribution(low, high, step=step, log=log))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        """Draw a number."""
        return self._suggest(name, FloatDistribution(low, high, log=log))

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        value = self._relative.get(name)
        if value is None:
            value = self._sampler.sample_independent(self._study, self._trial, name, distribution)
        self.params[name] = value
        return value


class RecordedSampler(BaseSampler):
    """Proposes the recorded network that is most like what another sampler proposes."""

    def __init__(self, choose: Callable[[optuna.Study, FrozenTrial], Network]) -> None:
        self._choose = choose
        self.network: Network | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        if self.network is None:
            self.network = self._choose(study, trial)
        return self.network.params[name]


@dataclass(slots=True)
class Search:
    """A simulated study over one pool of networks.

    Attributes:
        queue: Networks that are trained first.
        now: Seconds since the search began.
        steps: Times at which the best accuracy rose, and what it rose to.
    """

    pool: Pool
    space: SearchSpace
    seed: int
    sampler: str = "tpe"
    pruner: optuna.pruners.BasePruner = field(default_factory=optuna.pruners.NopPruner)
    family_trials: int = 0
    queue: list[Network] = field(default_factory=list)
    now: float = 0.0
    trainings: list[Training] = field(default_factory=list)
    steps: list[tuple[float, float]] = field(default_factory=list)
    study: optuna.Study = field(init=False)

    def __post_init__(self) -> None:
        self.study = optuna.create_study(
            study_name=f"search {self.seed}", direction="maximize", pruner=self.pruner
        )

    def begin(self) -> Training | None:
        """Begin the trial of a queued network, or of a new one; None if all were trained."""
        unused = self._unused()
        if not unused:
            return None
        sampler = RecordedSampler(partial(self._choose, unused))
        self.study.sampler = sampler
        trial = self.study.ask()
        self.space.suggest(trial)
        network = sampler.network
        assert network is not None
        trial.set_user_attr("config", {"family": network.family})
        n_phases = find_family(network.family).n_phases
        trial.set_user_attr(MAX_EPOCHS, 20 * n_phases)
        training = Training(trial, network, network.curves[self.seed % len(network.curves)])
        self.trainings.append(training)
        return training

    def _unused(self) -> Pool:
        used = {id(it.network) for it in self.trainings}
        return [it for it in self.pool if id(it) not in used]

    def _choose(self, unused: Pool, study: optuna.Study, trial: FrozenTrial) -> Network:
        if self.queue:
            return self.queue.pop(0)
        left = {it.family for it in unused}
        families = [name for name in self.space.families if name in left]
        trials = [it for it in study.get_trials(deepcopy=False) if it.number != trial.number]
        family = next_family(trials, families, self.family_trials)
        fixed = None if family is None else {"family": family}
        proposer = Proposer(study, trial, make_sampler(self.sampler, self.seed, fixed=fixed))
        self.space.suggest(proposer)
        wanted = {"family": families[0], **proposer.params}
        if wanted["family"] not in left:
            wanted["family"] = families[trial.number % len(families)]
        return nearest(unused, wanted, self.space.domains)

    def run(self, strategy: Strategy, seconds: float, n_workers: int = 2) -> None:
        """Search until the time is over or nothing is left; an unfinished epoch is lost."""
        free = list(range(n_workers))
        clock: list[tuple[float, int, Training]] = []
        while True:
            while free and (training := strategy.next(self)) is not None:
                start = CONTINUE_S if training.n_epochs else START_S
                training.is_paused = False
                self._schedule(clock, free.pop(), training, start)
            if not clock:
                return
            end, worker, training = heapq.heappop(clock)
            if end > seconds:
                return
            self.now = end
            if self._end_epoch(strategy, training):
                self._schedule(clock, worker, training, 0.0)
            else:
                free.append(worker)

    def _schedule(self, clock: list[Any], worker: int, training: Training, start: float) -> None:
        seconds = training.curve.seconds[training.n_epochs]
        heapq.heappush(clock, (self.now + start + seconds, worker, training))

    def _end_epoch(self, strategy: Strategy, training: Training) -> bool:
        """Record an epoch, and return whether the trial goes on."""
        training.n_epochs += 1
        training.trial.report(training.best, training.n_epochs)
        if not self.steps or training.best > self.steps[-1][1]:
            self.steps.append((self.now, training.best))
        if training.n_epochs == len(training.curve.accuracies):
            self._tell(training, TrialState.COMPLETE)
            return False
        decision = strategy.decide(self, training)
        if decision is Decision.PRUNE:
            self._tell(training, TrialState.PRUNED)
        training.is_paused = decision is Decision.PAUSE
        return decision is Decision.GO_ON

    def _tell(self, training: Training, state: TrialState) -> None:
        training.state = state
        value = training.best if state is TrialState.COMPLETE else None
        self.study.tell(training.trial, value, state)


def area(search: Search, seconds: float, top: float) -> float:
    """Return the mean over the time of what the best so far lacks to `top`."""
    best, since, lack = 0.0, 0.0, 0.0
    for time, value in [*search.steps, (seconds, 0.0)]:
        lack += (top - best) * (time - since)
        best, since = max(best, value), time
    return lack / seconds


def quota(space: SearchSpace) -> int:
    """Return the minimum of trials of each family, as a study with the default budget has it."""
    return trials_per_family(PLANNED_TRIALS, len(space.families)) if len(space.families) > 1 else 0
