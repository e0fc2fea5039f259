"""Comparing configs over seeds: known results, and simulated studies with known accuracies."""

import numpy as np
import pytest

from analysis.confirmation.comparison import Candidate, compare_configs, find_ruled_out

RESOLUTION = 1 / 420
TRUTHS = (0.90, 0.895, 0.89, 0.88, 0.86)
DEVIATIONS = (0.012, 0.006, 0.02, 0.012, 0.01)
N_SEEDS, N_STUDIES = 5, 200


def test_interval_is_that_of_students_t() -> None:
    (standing,) = compare_configs([Candidate(3, 10, (0.8, 0.9, 0.85))], resolution=0.001).standings
    assert (standing.mean, standing.deviation) == (pytest.approx(0.85), pytest.approx(0.05))
    assert standing.low == pytest.approx(0.85 - 4.302653 * 0.05 / 3**0.5)
    assert (standing.chance, standing.is_separable) == (None, False)


def test_smaller_network_is_recommended_among_equals() -> None:
    found = compare_configs(
        [
            Candidate(1, 900, (0.90, 0.91, 0.92)),
            Candidate(2, 100, (0.90, 0.91, 0.91)),
            Candidate(3, 10, (0.50, 0.51, 0.49)),
        ],
        resolution=RESOLUTION,
    )
    assert (found.leader.trial, found.recommended.trial) == (1, 2)
    assert [it.is_separable for it in found.standings] == [False, False, True]
    assert sum(it.chance or 0 for it in found.standings) == pytest.approx(1)


def test_one_training_each_separates_no_configs() -> None:
    found = compare_configs(
        [Candidate(1, 9, (0.9,)), Candidate(2, 5, (0.1,))], resolution=RESOLUTION
    )
    assert [it.trial for it in found.standings] == [1, 2]
    assert all(it.chance is None and it.low is None for it in found.standings)
    assert found.recommended.trial == 1


def test_interval_of_equal_values_is_as_wide_as_their_step() -> None:
    found = compare_configs(
        [Candidate(1, 9, (0.9, 0.9)), Candidate(2, 5, (0.9, 0.9))], resolution=0.1
    )
    assert found.leader.low is not None
    assert found.leader.low < 0.9 < (found.leader.high or 0)


def test_clearly_worse_configs_are_ruled_out_after_enough_trainings() -> None:
    good, poor = (0.90, 0.91, 0.905), (0.60, 0.61, 0.605)
    candidates = [Candidate(1, 9, good), Candidate(2, 9, good), Candidate(3, 9, poor)]
    assert find_ruled_out(candidates, resolution=RESOLUTION) == {3}
    early = [Candidate(1, 9, good), Candidate(3, 9, poor[:2])]
    assert find_ruled_out(early, resolution=RESOLUTION) == set()


@pytest.mark.parametrize("candidates", [[], [Candidate(1, 9, ())]])
def test_comparison_without_values_is_refused(candidates: list[Candidate]) -> None:
    with pytest.raises(ValueError, match="at least one config"):
        compare_configs(candidates, resolution=RESOLUTION)


def simulate(seed: int) -> tuple[int, list[Candidate]]:
    """Return the best config by single values, and the candidates after a confirmation."""
    rng = np.random.default_rng(seed)

    def train(config: int) -> float:
        value = rng.normal(TRUTHS[config], DEVIATIONS[config])
        return round(value / RESOLUTION) * RESOLUTION

    single = int(np.argmax([train(config) for config in range(len(TRUTHS))]))
    values: list[list[float]] = [[] for _ in TRUTHS]
    behind: set[int] = set()
    for _ in range(N_SEEDS):
        for config in range(len(TRUTHS)):
            if config not in behind:
                values[config].append(train(config))
        candidates = [Candidate(config, 1, tuple(it)) for config, it in enumerate(values)]
        behind |= find_ruled_out(candidates, resolution=RESOLUTION)
    return single, candidates


@pytest.mark.slow
def test_true_best_is_picked_more_often_than_by_single_values_and_intervals_cover() -> None:
    singles, picks, covered, n_trained = [], [], [], []
    for seed in range(N_STUDIES):
        single, candidates = simulate(seed)
        found = compare_configs(candidates, resolution=RESOLUTION)
        singles.append(single == 0)
        picks.append(found.leader.trial == 0)
        n_trained.append(sum(len(it.values) for it in candidates))
        for it in found.standings:
            assert it.low is not None
            assert it.high is not None
            covered.append(it.low <= TRUTHS[it.trial] <= it.high)
    print(f"single {np.mean(singles):.2f}, confirmed {np.mean(picks):.2f}, "
          f"covered {np.mean(covered):.3f}, {np.mean(n_trained):.1f} trainings")  # fmt: skip
    assert np.mean(picks) > np.mean(singles)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_config_with_a_single_value_is_not_recommended() -> None:
    found = compare_configs(
        [
            Candidate(1, 900, (0.95, 0.951, 0.949, 0.95, 0.95)),
            Candidate(2, 100, (0.60, 0.61, 0.61, 0.60, 0.62), n_failed=1),
            Candidate(3, 10, (0.99,), n_failed=4),
        ],
        resolution=RESOLUTION,
    )
    assert found.recommended.trial == found.leader.trial == 1
    assert [it.is_separable for it in found.standings] == [False, True, False]
    assert [(it.chance is None, it.n_failed) for it in found.standings] == [
        (False, 0),
        (False, 1),
        (True, 4),
    ]


def test_config_with_failed_trainings_is_recommended_only_without_an_equal() -> None:
    values = (0.9, 0.91, 0.905)
    frail, steady = Candidate(1, 10, values, n_failed=2), Candidate(2, 900, values)
    assert compare_configs([frail, steady], resolution=RESOLUTION).recommended.trial == 2
    assert compare_configs([frail], resolution=RESOLUTION).recommended.trial == 1


def test_reason_is_correct_for_the_recommended_config() -> None:
    values = (0.9, 0.91, 0.905)
    frail = Candidate(1, 10, (*values, 0.92), n_failed=2)
    larger, smaller = Candidate(2, 900, values), Candidate(3, 5, values)
    found = compare_configs([frail, larger], resolution=RESOLUTION)
    assert (found.leader.trial, found.recommended.trial, found.reason) == (1, 2, "steadier")
    assert compare_configs([frail, smaller], resolution=RESOLUTION).reason == "smaller"
    assert compare_configs([larger], resolution=RESOLUTION).reason == "leader"


def test_config_below_a_separable_one_is_not_recommended() -> None:
    found = compare_configs(
        [
            Candidate(1, 9000, (0.932, 0.928, 0.930)),
            Candidate(2, 5000, (0.9151, 0.9150, 0.9149)),
            Candidate(3, 500, (0.80, 0.99, 0.93)),
        ],
        resolution=0.0001,
    )
    assert [it.is_separable for it in found.standings] == [False, True, False]
    assert found.recommended.trial == 1


def test_interval_stays_within_0_and_1() -> None:
    (standing,) = compare_configs(
        [Candidate(1, 9, (0.99, 0.98, 1.0))], resolution=RESOLUTION
    ).standings
    assert standing.high == 1.0
    assert standing.chance is None


def test_smaller_config_that_is_probably_worse_is_not_recommended() -> None:
    found = compare_configs(
        [Candidate(0, 76_374, (0.9667, 0.9, 0.8667)), Candidate(3, 37_240, (0.8333, 0.7, 0.8333))],
        resolution=1 / 30,
    )
    assert not found.standings[1].is_separable
    assert found.recommended.trial == 0
