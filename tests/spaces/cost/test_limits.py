"""Limits of a network's cost: which one is exceeded, by how much, and in which words."""

from dataclasses import replace

import pytest

from spaces import Cost, Limits, SpaceError

COST = Cost(
    parameters=2000, trainable_parameters=2000, memory_mb=60.0, operations=10**6, feature_maps=()
)


@pytest.mark.parametrize(
    ("limits", "excess", "overrun"),
    [
        (Limits(), None, -1.0),
        (Limits(2000, 60.0, 10**6), None, 0.0),
        (Limits(max_parameters=1000), "2,000 parameters are over the limit of 1,000", 1.0),
        (Limits(max_memory_mb=30), "60 MB of memory are over the limit of 30", 1.0),
        (
            Limits(10**6, 10**6, max_operations=800_000),
            "1 million operations are over the limit of 0.8",
            0.25,
        ),
    ],
)
def test_excess_names_the_limit_and_the_amount(
    limits: Limits, excess: str | None, overrun: float
) -> None:
    assert limits.excess(COST) == excess
    assert limits.overrun(COST) == pytest.approx(overrun)


def test_operations_are_shown_in_millions_like_the_option() -> None:
    cost = replace(COST, operations=1_350_000_000)
    limits = Limits(max_parameters=10**6, max_operations=1_200_000_000)
    assert limits.excess(cost) == "1,350 million operations are over the limit of 1,200"
    with pytest.raises(SpaceError, match=r"Received: 1,200; .* takes 1,350 million oper"):
        raise limits.too_low_error([cost])


def test_limits_that_no_network_can_meet_together_are_named() -> None:
    costs = [replace(COST, parameters=1), replace(COST, operations=1)]
    limits = Limits(max_parameters=1000, max_operations=500_000)
    expected = "none of 2 .* Received: --max-parameters 1,000, --max-operations 0.5"
    with pytest.raises(SpaceError, match=expected):
        raise limits.too_low_error(costs)
