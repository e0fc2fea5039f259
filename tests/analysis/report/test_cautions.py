"""Cautions: which of them a report contains, and which it does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from analysis.report.cautions import add_cautions
from analysis.report.facts import Facts, TestUse

MakeFacts = Callable[..., Facts]


def cautions(facts: Facts) -> dict[str, dict[str, Any]]:
    return {it.kind: dict(it.values) for it in add_cautions(facts).cautions}


def of_winner(facts: Facts, **values: tuple[Any, Any]) -> Facts:
    """Return the facts with other parameters of the winner: value and distribution of each."""
    trial = create_trial(
        value=0.9,
        params={name: value for name, (value, _) in values.items()},
        distributions={name: distribution for name, (_, distribution) in values.items()},
    )
    trial.number = facts.winner.trial.trial
    return replace(facts, trials=(trial,))


@pytest.mark.parametrize(
    ("value", "distribution", "is_edge"),
    [
        (1e-2, FloatDistribution(1e-4, 1e-2, log=True), True),
        (1.01e-4, FloatDistribution(1e-4, 1e-2, log=True), True),
        (1e-3, FloatDistribution(1e-4, 1e-2, log=True), False),
        (128, IntDistribution(8, 128, log=True), True),
        (8, IntDistribution(8, 128, log=True), True),
        (0.0, FloatDistribution(0.0, 0.6), False),  # No dropout: no range can begin lower.
        (0.6, FloatDistribution(0.0, 0.6), True),
        (1, IntDistribution(1, 5), False),
        (5, IntDistribution(1, 5), True),
        (3, IntDistribution(3, 3), False),
        (3, IntDistribution(2, 3), False),  # With two values, each is an end.
        (16, IntDistribution(8, 16, step=8), False),
        ("sgd", CategoricalDistribution(["adam", "sgd"]), False),
    ],
)
def test_value_at_an_extendable_end_of_its_range_is_a_caution(
    facts: Facts, value: Any, distribution: Any, is_edge: bool
) -> None:
    found = cautions(of_winner(facts, x=(value, distribution)))
    assert ("edge" in found) == is_edge
    if is_edge:
        assert found["edge"]["parameter"] == "x"


def test_test_split_used_for_another_network_is_a_caution(facts: Facts) -> None:
    winner = facts.winner
    own = TestUse("2026-11-26T10:00:00+00:00", "confirm", winner.source, winner.source_trial)
    other = replace(own, at="2026-11-20T10:00:00+00:00", trial=winner.source_trial + 1)
    assert "test_used_before" not in cautions(replace(facts, test_uses=(own,)))
    gone = replace(own, is_of_deleted=True)
    assert "test_used_before" in cautions(replace(facts, test_uses=(gone,)))
    found = cautions(replace(facts, test_uses=(other, own)))
    assert found["test_used_before"] == {"n": 1, "first": other.at, "last": other.at}


def test_missing_confirmation_equal_configs_and_later_trials_are_cautions(
    make_facts: MakeFacts,
) -> None:
    assert "unconfirmed" in cautions(make_facts(with_confirmation=False))
    facts = make_facts()
    assert facts.confirmation is not None
    standings = tuple(
        replace(it, is_separable=place > 1)
        for place, it in enumerate(facts.confirmation.standings)
    )
    facts = replace(facts, confirmation=replace(facts.confirmation, standings=standings))
    found = cautions(facts)
    assert "unconfirmed" not in found
    pair = ", ".join(str(it.trial) for it in standings[:2])
    assert found["not_separable"] == {"trials": pair}
    fewer = replace(facts.confirmation, standings=standings[1:])
    assert "searched_after_confirm" in cautions(replace(facts, confirmation=fewer))


def test_unfinished_search_or_confirmation_is_a_caution(make_facts: MakeFacts) -> None:
    facts = make_facts(is_partial=True)
    assert "confirmation_unfinished" in cautions(facts)
    facts = replace(facts, is_search_over=False)
    assert cautions(facts)["partial"]["budget"] == facts.search.n_trials
    timed = replace(facts, search=replace(facts.search, n_trials=None))
    assert "partial" not in cautions(timed)
    assert cautions(timed)["partial_time"]["done"] > 0


def test_data_and_scores_may_be_cautions(make_facts: MakeFacts) -> None:
    facts = make_facts(with_test=False)
    assert "no_test" in cautions(facts)
    few = {"train": {"a": 10, "b": 16}, "val": {"a": 5, "b": 5}, "test": {"a": 5, "b": 5}}
    assert "weighted" not in cautions(facts)
    data = replace(facts.data, counts=few, n_duplicates=2, has_weights=True)
    found = cautions(replace(facts, data=data))
    assert "weighted" in found
    assert found["unbalanced"] == {"ratio": 1.6}
    assert found["small_validation"] == {"n": 10, "step": 0.1}
    assert found["duplicates"] == {"n": 2}
    facts = make_facts()
    high = facts.examined["test"].evaluation.accuracy.high
    better = replace(facts.winner, val_accuracy=high + 0.01)
    assert "worse_on_test" in cautions(replace(facts, winner=better))
    same = replace(facts.winner, val_accuracy=high - 0.01)
    assert "worse_on_test" not in cautions(replace(facts, winner=same))
    test = facts.examined["test"]
    assert "small_test" not in cautions(facts)
    few = replace(test, evaluation=replace(test.evaluation, n=24))
    assert cautions(replace(facts, examined={"test": few}))["small_test"] == {"n": 24}
