"""Replay recorded learning curves through Optuna's pruners, to choose the default one.

Each round draws curves without repeats, and two simulated workers train them. An epoch takes as
many seconds as it did when it was recorded. Run it as
`python tests/benchmarks/replay_pruners.py [--trials 16 --max-epochs 12] [NAME ...]`.

With `--quick N` every second one of the first 2 N trials belongs to an invented second family,
modeled on transfer learning from cached features: an epoch takes a tenth of a second, and the
first epochs gain the most. Each pruner is then replayed without and with a fair start of
`--family-trials`.
"""

import argparse
import heapq
import json
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import optuna
from optuna.pruners import BasePruner
from optuna.trial import Trial, TrialState

from search.strategy.family_quota import MAX_EPOCHS
from search.strategy.pruner import PRUNERS, make_pruner

REPOSITORY = Path(__file__).parents[2]
CURVES = REPOSITORY.parent / "shared" / "data" / "curves_brainmri_32.jsonl"  # Real brain MRI.
PATIENCE = 5
WITHIN = 0.005


@dataclass(frozen=True, slots=True)
class Curve:
    """One training: validation accuracy and seconds of each epoch, and the limit of epochs."""

    accuracies: tuple[float, ...]
    seconds: tuple[float, ...]
    max_epochs: int
    family: str = "scratch"

    def trained_to_its_end(self, max_epochs: int) -> "Curve":
        """Return the curve up to `max_epochs`, or up to where early stopping ends it."""
        n = n_epochs_until_stopped(self.accuracies[:max_epochs])
        return Curve(self.accuracies[:n], self.seconds[:n], max_epochs)


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one policy in one round of trials."""

    n_epochs: int
    n_pruned: int
    regret: float
    best_is_pruned: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """A policy's means over all rounds; `cost` is its share of the epochs without pruning."""

    n_epochs: float
    cost: float
    regret: float
    share_within: float
    share_best_pruned: float
    pruned_range: tuple[int, int]


def n_epochs_until_stopped(accuracies: tuple[float, ...]) -> int:
    """Return how many epochs are trained until `PATIENCE` in a row bring no improvement."""
    best, best_epoch = float("-inf"), 0
    for epoch, accuracy in enumerate(accuracies, start=1):
        if accuracy > best:
            best, best_epoch = accuracy, epoch
        elif epoch - best_epoch >= PATIENCE:
            return epoch
    return len(accuracies)


def read_curves(path: Path = CURVES) -> list[Curve]:
    records = map(json.loads, path.read_text().splitlines())
    return [
        Curve(tuple(r["val_accuracy"]), tuple(r["seconds"]), len(r["seconds"])) for r in records
    ]


def train(study: optuna.Study, trial: Trial, curve: Curve) -> Iterator[float]:
    """Train one trial as a worker does, and yield the seconds of each epoch."""
    trial.set_user_attr("config", {"family": curve.family})
    trial.set_user_attr(MAX_EPOCHS, curve.max_epochs)
    running_best = accumulate(curve.accuracies, max)
    for epoch, (best, seconds) in enumerate(zip(running_best, curve.seconds, strict=True), 1):
        yield seconds
        trial.report(best, epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, max(curve.accuracies))


def replay(
    pruner: BasePruner, curves: list[Curve], name: str = "round", n_workers: int = 2
) -> optuna.Study:
    """Train the curves in order on simulated workers; trial i is curve i.

    The name is that of the study: Hyperband draws its brackets from it.
    """
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        study_name=name, direction="maximize", pruner=pruner, sampler=sampler
    )
    queue = iter(curves)
    clock: list[tuple[float, int, Iterator[float]]] = []  # (End of its epoch, worker, trial).
    for worker_index, curve in zip(range(n_workers), queue, strict=False):
        training = train(study, study.ask(), curve)
        heapq.heappush(clock, (next(training), worker_index, training))
    while clock:
        now, worker_index, training = heapq.heappop(clock)
        seconds = next(training, None)
        if seconds is None:
            following = next(queue, None)
            if following is None:
                continue
            training = train(study, study.ask(), following)
            seconds = next(training)
        heapq.heappush(clock, (now + seconds, worker_index, training))
    return study


def judge(study: optuna.Study, curves: list[Curve]) -> Round:
    """Compare a replayed study with training each curve to its end."""
    trials = study.get_trials(deepcopy=False)
    completed = [t.number for t in trials if t.state == TrialState.COMPLETE]
    values = [max(curve.accuracies) for curve in curves]
    found = max(values[number] for number in completed)
    return Round(
        n_epochs=sum(len(t.intermediate_values) for t in trials),
        n_pruned=len(trials) - len(completed),
        regret=max(values) - found,
        best_is_pruned=values.index(max(values)) not in completed,
    )


def draw_rounds(
    curves: list[Curve], n_rounds: int, n_trials: int, max_epochs: int, seed: int = 0
) -> list[list[Curve]]:
    """Draw rounds of `n_trials` curves, each cut at `max_epochs` and by early stopping."""
    rng = random.Random(seed)
    ends = [curve.trained_to_its_end(max_epochs) for curve in curves]
    return [rng.sample(ends, n_trials) for _ in range(n_rounds)]


def mix_quick(rounds: list[list[Curve]], n_quick: int, seed: int = 0) -> list[list[Curve]]:
    """Insert a curve of the quick family after each of the first `n_quick` curves of a round."""
    rng = random.Random(seed)
    return [
        [c for curve in curves[:n_quick] for c in (curve, make_quick(rng, curve.max_epochs))]
        + curves[n_quick : len(curves) - n_quick]
        for curves in rounds
    ]


def make_quick(rng: random.Random, max_epochs: int) -> Curve:
    """Make a curve on cached features, near its ceiling, which is below the best, at once."""
    ceiling, gap = rng.uniform(0.80, 0.86), rng.uniform(0.03, 0.10)
    values = [ceiling - gap * 0.6**epoch + rng.gauss(0, 0.004) for epoch in range(2 * max_epochs)]
    n = n_epochs_until_stopped(tuple(values))
    return Curve(tuple(values[:n]), (0.1,) * n, 2 * max_epochs, "quick")


def summarize(make: Callable[[], BasePruner], rounds: list[list[Curve]]) -> Summary:
    """Replay every round with a fresh pruner, and return the means."""
    results = [judge(replay(make(), c, f"round {i}"), c) for i, c in enumerate(rounds)]
    unpruned = statistics.mean(sum(len(c.accuracies) for c in curves) for curves in rounds)
    n_epochs = statistics.mean(r.n_epochs for r in results)
    n_pruned = [r.n_pruned for r in results]
    return Summary(
        n_epochs=n_epochs,
        cost=n_epochs / unpruned,
        regret=statistics.mean(r.regret for r in results),
        share_within=statistics.mean(r.regret <= WITHIN for r in results),
        share_best_pruned=statistics.mean(r.best_is_pruned for r in results),
        pruned_range=(min(n_pruned), max(n_pruned)),
    )


def print_mixed(names: list[str], curves: list[Curve], args: argparse.Namespace) -> None:
    rounds = draw_rounds(curves, args.rounds, args.trials, args.max_epochs)
    rounds = mix_quick(rounds, args.quick)
    print(f"\n{args.trials} trials, {args.quick} of them quick, {len(rounds)} rounds")
    print("policy        fair start  epochs   cost  regret  within  best pruned")
    for name in names:
        for n_fair in (0, args.family_trials):
            s = summarize(
                lambda name=name, n_fair=n_fair: make_pruner(
                    name, args.max_epochs, n_phases=2, family_trials=n_fair
                ),
                rounds,
            )
            print(
                f"{name:14}{n_fair:10}{s.n_epochs:8.0f}{s.cost:7.3f}{s.regret:8.4f}"
                f"{s.share_within:8.2f}{s.share_best_pruned:13.2f}"
            )


def print_table(names: list[str], curves: list[Curve], args: argparse.Namespace) -> None:
    rounds = draw_rounds(curves, args.rounds, args.trials, args.max_epochs)
    print(
        f"\n{args.trials} of {len(curves)} curves, {args.max_epochs} epochs, {len(rounds)} rounds"
    )
    print("policy        epochs   cost  regret  within  best pruned  pruned")
    for name in names:
        s = summarize(lambda name=name: make_pruner(name, args.max_epochs), rounds)
        print(
            f"{name:12}{s.n_epochs:8.0f}{s.cost:7.3f}{s.regret:8.4f}{s.share_within:8.2f}"
            f"{s.share_best_pruned:13.2f}  {s.pruned_range[0]} to {s.pruned_range[1]}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PRUNERS), help="pruners to replay")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--max-epochs", type=int, default=20)
    parser.add_argument("--curves", type=Path, default=CURVES)
    parser.add_argument("--quick", type=int, default=0)
    parser.add_argument("--family-trials", type=int, default=6)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    show = print_mixed if args.quick else print_table
    show(args.names, read_curves(args.curves), args)


if __name__ == "__main__":
    main()
