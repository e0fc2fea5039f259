"""Limits on what a network may cost."""

import pytest

from spaces import Cost, Limits

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
            "1,000,000 operations are over the limit of 800,000",
            0.25,
        ),
    ],
)
def test_excess_says_which_limit_and_how_far(
    limits: Limits, excess: str | None, overrun: float
) -> None:
    assert limits.excess(COST) == excess
    assert limits.overrun(COST) == pytest.approx(overrun)
