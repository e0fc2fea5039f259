"""Cautions: reasons in the facts of a study to doubt its result."""

import math
from collections.abc import Iterator
from dataclasses import replace

from optuna.distributions import FloatDistribution, IntDistribution

from analysis.report.facts import Caution, DataFacts, Facts

FEW_TRIALS = 10
"""Fewer complete trials cover little of a space of dozens of parameters."""
FEW_FOR_IMPORTANCE = 30
"""With 15 trials and 12 parameters without effect, one had a median importance of 44 %."""
UNBALANCED_RATIO = 1.5
FEW_IMAGES = 100
"""In a split with fewer images, accuracy has steps of more than 0.01."""
EDGE_TOLERANCE = 0.01
"""Share of a range, from its end, within which a value counts as the end."""
NATURAL_MINIMA = (0, 1)
"""Low ends that cannot be lowered: no dropout, one layer."""

Range = FloatDistribution | IntDistribution


def add_cautions(facts: Facts) -> Facts:
    """Return the facts with all cautions that apply."""
    found = (
        *_progress_cautions(facts),
        *_search_cautions(facts),
        *data_cautions(facts.data),
        *_confirmation_cautions(facts),
        *_test_cautions(facts),
        *_edge_cautions(facts),
    )
    return replace(facts, cautions=found)


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
    baseline, val_accuracy = facts.data.baseline, facts.winner.val_accuracy
    if baseline is not None and val_accuracy <= baseline:
        yield Caution("baseline", {"val": val_accuracy, "baseline": baseline})
    if facts.importance and n_complete < FEW_FOR_IMPORTANCE:
        yield Caution("few_for_importance", {"n": n_complete})


def _edge_cautions(facts: Facts) -> Iterator[Caution]:
    """Find parameters of the winner whose value is an end of their range.

    They come last: there may be several, and they suggest another search rather than cast doubt.
    """
    trial = next((it for it in facts.trials if it.number == facts.winner.trial.trial), None)
    if trial is None:
        return
    for name, distribution in trial.distributions.items():
        if not isinstance(distribution, Range) or _n_values(distribution) <= 2:
            continue  # Both of two values are ends.
        value, low, high = trial.params[name], distribution.low, distribution.high
        if is_at_edge(value, low, high, is_log=distribution.log):
            yield Caution("edge", {"parameter": name, "value": value, "low": low, "high": high})


def is_at_edge(value: float, low: float, high: float, *, is_log: bool) -> bool:
    """Whether a value is at an end of its range that could be extended."""
    position = position_in_range(value, low, high, is_log=is_log)
    return position >= 1 - EDGE_TOLERANCE or (
        position <= EDGE_TOLERANCE and low not in NATURAL_MINIMA
    )


def _n_values(distribution: Range) -> float:
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    return 1 if distribution.single() else math.inf


def position_in_range(value: float, low: float, high: float, *, is_log: bool) -> float:
    """Return the position of a value in its range, from 0 to 1."""
    if is_log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def data_cautions(data: DataFacts) -> Iterator[Caution]:
    """Find cautions about the images of a study."""
    if data.n_leaks:
        yield Caution("leaks", {"n": data.n_leaks})
    counts = data.counts["train"].values()
    ratio = max(counts) / max(1, min(counts))
    if ratio > UNBALANCED_RATIO:
        yield Caution("unbalanced", {"ratio": round(ratio, 1)})
    n = sum(data.counts["val"].values())
    if n < FEW_IMAGES:
        yield Caution("small_validation", {"n": n, "step": round(1 / n, 4)})
    if data.has_weights:
        yield Caution("weighted")
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
    n_new = sum(it.trial not in known for it in facts.ranking.complete[: len(known)])
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
