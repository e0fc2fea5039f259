"""Domains: drawing values, single values, and JSON."""

import random

import pytest

from spaces import SpaceError
from spaces.parameters.domain_types import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    domain_from_json,
    domain_to_json,
)
from spaces.parameters.stub_trials import RandomTrial

DOMAINS = [
    Choices(("a", "b")),
    Choices((True, False)),
    Choices((16, 32)),
    IntRange(3, 6),
    IntRange(8, 128, step=8),
    IntRange(8, 128, log=True),
    FloatRange(0.0, 0.6),
    FloatRange(1e-4, 1e-2, log=True),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_domain_survives_json(domain: Domain) -> None:
    assert domain_from_json(domain_to_json(domain)) == domain


@pytest.mark.parametrize("record", [{}, {"kind": "list"}, {"kind": "int", "lo": 3}])
def test_other_json_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(SpaceError, match="Expected a parameter's domain"):
        domain_from_json(record)


@pytest.mark.parametrize("domain", [IntRange(3, 6), IntRange(8, 32, step=8)], ids=str)
def test_every_integer_of_a_range_is_drawn(domain: IntRange) -> None:
    trial = RandomTrial(random.Random(0))
    drawn = {domain.suggest(trial, "x") for _ in range(200)}
    assert drawn == set(range(domain.low, domain.high + 1, domain.step))


def test_logarithmic_integers_reach_both_ends_and_stay_within() -> None:
    trial = RandomTrial(random.Random(0))
    drawn = [IntRange(8, 128, log=True).suggest(trial, "x") for _ in range(5000)]
    assert (min(drawn), max(drawn)) == (8, 128)
    assert 0.4 < sum(value < 32 for value in drawn) / len(drawn) < 0.6  # 32 is the middle.


@pytest.mark.parametrize("domain", [Choices(("a",)), IntRange(4, 4), FloatRange(0.5, 0.5)])
def test_single_value_is_fixed(domain: Domain) -> None:
    assert domain.is_fixed


def test_range_smaller_than_its_step_is_fixed() -> None:
    assert IntRange(8, 15, step=8).is_fixed
    assert not IntRange(8, 16, step=8).is_fixed
