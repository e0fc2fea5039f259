"""What to know before a result is believed, found in the facts of a study."""

import math
from collections.abc import Iterator
from dataclasses import replace

from optuna.distributions import FloatDistribution, IntDistribution

from analysis.report.facts import Caution, DataFacts, Facts

FEW_TRIALS = 10
"""Fewer complete trials say little about a space of dozens of parameters."""
FEW_FOR_IMPORTANCE = 30
"""Of 15 trials with 12 parameters of no effect, one had 44 % of the importance in the median."""
UNBALANCED_RATIO = 1.5
FEW_IMAGES = 100
"""Of a split: fewer make accuracy come in steps of over a hundredth."""
EDGE_TOLERANCE = 0.01
"""A value within this part of a range from its end counts as the end."""
NATURAL_MINIMA = (0, 1)
"""Low ends that no study file could lower: no dropout, one layer."""

Range = FloatDistribution | IntDistribution


def add_cautions(facts: Facts) -> Facts:
    """Return the facts with all that is to be known before they are believed."""
    return replace(facts, cautions=tuple(_all_cautions(facts)))


def _all_cautions(facts: Facts) -> Iterator[Caution]:
    yield from _progress_cautions(facts)
    yield from _search_cautions(facts)
    yield from data_cautions(facts.data)
    yield from _confirmation_cautions(facts)
    yield from _test_cautions(facts)
    yield from _edge_cautions(facts)


def _progress_cautions(facts: Facts) -> Iterator[Caution]:
    if not facts.is_partial:
        return
    if facts.is_search_over:
        yield Caution("confirmation_unfinished")
        return
    done = sum(facts.search.counts[kind] for kind in ("complete", "pruned", "unfit"))
    if facts.search.n_trials is None:
        yield Caution("partial_time", {"done": done})
    else:
        yield Caution("partial", {"done": done, "budget": facts.search.n_trials})


def _search_cautions(facts: Facts) -> Iterator[Caution]:
    n_complete = len(facts.ranking.complete)
    if n_complete < FEW_TRIALS:
        yield Caution("few_trials", {"n": n_complete})
    if facts.importance and n_complete < FEW_FOR_IMPORTANCE:
        yield Caution("few_for_importance", {"n": n_complete})


def _edge_cautions(facts: Facts) -> Iterator[Caution]:
    """Find parameters of the winner whose value is an end of their range.

    They come last: there may be several, and they ask for another search rather than for doubt.
    """
    trial = next((it for it in facts.trials if it.number == facts.winner.trial.trial), None)
    if trial is None:
        return
    for name, distribution in trial.distributions.items():
        if not isinstance(distribution, Range) or _n_values(distribution) <= 2:
            continue  # Of two values each is an end.
        value, low, high = trial.params[name], distribution.low, distribution.high
        if is_at_edge(value, low, high, is_log=distribution.log):
            values = {"parameter": name, "value": value, "low": low, "high": high}
            yield Caution("edge", values)


def is_at_edge(value: float, low: float, high: float, *, is_log: bool) -> bool:
    """Whether a value lies at an end of its range that could be moved."""
    position = _position_in_range(value, low, high, is_log=is_log)
    return position >= 1 - EDGE_TOLERANCE or (
        position <= EDGE_TOLERANCE and low not in NATURAL_MINIMA
    )


def _n_values(distribution: Range) -> float:
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    return 1 if distribution.single() else math.inf


def _position_in_range(value: float, low: float, high: float, *, is_log: bool) -> float:
    """Return where in its range a value is, from 0 to 1."""
    if is_log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def data_cautions(data: DataFacts) -> Iterator[Caution]:
    """Find what the images of a study make doubtful."""
    counts = data.counts["train"].values()
    ratio = max(counts) / max(1, min(counts))
    if ratio > UNBALANCED_RATIO:
        yield Caution("unbalanced", {"ratio": round(ratio, 1)})
    n = sum(data.counts["val"].values())
    if n < FEW_IMAGES:
        yield Caution("small_validation", {"n": n, "step": round(1 / n, 4)})
    if data.n_duplicates:
        yield Caution("duplicates", {"n": data.n_duplicates})


def _confirmation_cautions(facts: Facts) -> Iterator[Caution]:
    found = facts.confirmation
    if found is None or not facts.winner.is_confirmed:
        yield Caution("unconfirmed")
        return
    equals = [it.trial for it in found.standings if not it.is_separable]
    if len(equals) > 1:
        yield Caution("not_separable", {"trials": ", ".join(map(str, equals))})
    lost = sorted({*facts.lost_trials, *(it.trial for it in found.standings if it.n_failed)})
    if lost:
        yield Caution("lost_trainings", {"trials": ", ".join(map(str, lost))})
    known = {*facts.lost_trials, *(it.trial for it in found.standings)}
    ahead = facts.ranking.complete[: len(known)]
    n_new = sum(it.trial not in known for it in ahead)
    if n_new:
        yield Caution("searched_after_confirm", {"n": n_new})


def _test_cautions(facts: Facts) -> Iterator[Caution]:
    winner = facts.winner
    others = [
        use
        for use in facts.test_uses
        if use.is_of_deleted or (use.study, use.trial) != (winner.source, winner.source_trial)
    ]
    if others:
        values = {"n": len(others), "first": others[0].at, "last": others[-1].at}
        yield Caution("test_used_before", values)
    test = facts.examined.get("test")
    if test is None:
        yield Caution("no_test")
        return
    if test.evaluation.n < FEW_IMAGES:
        yield Caution("small_test", {"n": test.evaluation.n})
    if winner.val_accuracy > test.evaluation.accuracy.high:
        values = {"val": winner.val_accuracy, "test": test.evaluation.accuracy.value}
        yield Caution("worse_on_test", values)
