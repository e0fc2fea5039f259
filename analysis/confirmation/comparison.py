"""Comparison of the best configs of a search by several trainings of each.

The best of many single values is optimistic: part of it is the luck of one seed. Trained again
from other seeds, a config has a mean with an interval.
"""

import itertools
import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.results.confidence_intervals import LEVEL

Reason = Literal["leader", "smaller", "steadier"]
N_DRAWS = 20_000
SEPARABLE_BELOW = 0.05
"""Probability of being at least as good as the leader below which a config counts as worse."""
EQUAL_ABOVE = 0.25
"""Minimum probability of being as good as the leader for recommending a smaller config."""
MIN_SEEDS = 3
"""Fewer trainings neither rule out a config nor give a useful interval."""
BEHIND_BELOW = 0.01
"""Probability of being the best below which a config is not trained further."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A config that was trained again: the trial that found it, its size, and its new values."""

    trial: int
    parameters: int | None
    values: tuple[float, ...]
    n_failed: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """The result of one config.

    `low` to `high` is the 95 % interval of the mean over all seeds. Deviation and interval are
    None below two values; `chance`, the probability of being the best, is None until two configs
    have two values. `is_separable` means distinguishably worse than the leader. `n_failed`
    trainings have no value, and do not affect the mean.
    """

    trial: int
    parameters: int | None
    n_seeds: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    chance: float | None
    is_separable: bool
    n_failed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the standing as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Standings by mean, best first, those with a single value last.

    `recommended` is the smallest that is probably as good as the leader. One with failed trainings
    or a single value is recommended only if there is no other.
    """

    standings: tuple[Standing, ...]
    recommended: Standing

    @property
    def reason(self) -> Reason:
        """Why it is recommended: it leads, or is smaller or steadier than an equal leader."""
        if self.recommended.trial == self.leader.trial:
            return "leader"
        sizes = self.recommended.parameters, self.leader.parameters
        is_smaller = None not in sizes and (sizes[0] or 0) < (sizes[1] or 0)
        return "smaller" if is_smaller else "steadier"

    @property
    def leader(self) -> Standing:
        """The config with the best mean."""
        return self.standings[0]


def compare_configs(candidates: Sequence[Candidate], *, resolution: float) -> Confirmation:
    """Compare configs by their values over seeds.

    Means are drawn from their posterior under a flat prior, each config with its own deviation,
    which is bounded from below by `resolution`, the accuracy of one validation image. Configs with
    a single value are not compared.

    Raises:
        ValueError: If there is no candidate, or one without a value.
    """
    if not candidates or not all(it.values for it in candidates):
        raise ValueError("Expected at least one config, each with at least one value.")
    ordered = sorted(candidates, key=lambda it: (_is_single(it), -_mean(it), _size(it), it.trial))
    compared = [it for it in ordered if not _is_single(it)]
    draws = _sample_posterior(compared, resolution)
    standings: list[Standing] = []
    equals: set[int] = set()
    for place, it in enumerate(ordered):
        chance, chance_as_good = None, 1.0
        if len(compared) > 1 and not _is_single(it):
            chance = float((draws.argmax(axis=1) == place).mean())
            chance_as_good = float((draws[:, place] >= draws[:, 0]).mean())
        standings.append(
            _summarize(it, resolution, chance, is_separable=chance_as_good < SEPARABLE_BELOW)
        )
        if chance_as_good >= EQUAL_ABOVE:
            equals.add(it.trial)
    return Confirmation(tuple(standings), _recommend(standings, equals))


def _recommend(standings: Sequence[Standing], as_good: AbstractSet[int]) -> Standing:
    if standings[0].n_seeds < 2:  # There are only single values.
        return standings[0]
    known = [it for it in standings if it.n_seeds >= 2]
    equals = list(itertools.takewhile(lambda it: it.trial in as_good, known))
    without_failures = [it for it in equals if not it.n_failed]
    return min(
        without_failures or equals,
        key=lambda it: math.inf if it.parameters is None else it.parameters,
    )


def find_ruled_out(candidates: Sequence[Candidate], *, resolution: float) -> set[int]:
    """Return trials with `MIN_SEEDS` or more values whose configs are clearly not the best."""
    eligible = [it for it in candidates if len(it.values) >= MIN_SEEDS]
    if len(eligible) < 2:
        return set()
    standings = compare_configs(eligible, resolution=resolution).standings
    return {
        it.trial
        for it in standings
        if it.is_separable and it.chance is not None and it.chance < BEHIND_BELOW
    }


def _is_single(candidate: Candidate) -> bool:
    return len(candidate.values) < 2


def _mean(candidate: Candidate) -> float:
    return float(np.mean(candidate.values))


def _size(candidate: Candidate) -> float:
    return math.inf if candidate.parameters is None else candidate.parameters


def _deviation(candidate: Candidate, resolution: float) -> float:
    """Return the standard deviation over seeds, at least that of rounding to `resolution`."""
    return max(float(np.std(candidate.values, ddof=1)), resolution / math.sqrt(12))


def _sample_posterior(candidates: Sequence[Candidate], resolution: float) -> NDArray[np.float64]:
    """Draw means from their posterior, shape `(N_DRAWS, n)`."""
    if not candidates:
        return np.empty((N_DRAWS, 0))
    rng = np.random.default_rng(0)
    return np.stack(
        [
            _mean(it)
            + _deviation(it, resolution)
            / math.sqrt(len(it.values))
            * rng.standard_t(len(it.values) - 1, N_DRAWS)
            for it in candidates
        ],
        axis=1,
    )


def _summarize(
    it: Candidate, resolution: float, chance: float | None, *, is_separable: bool
) -> Standing:
    from scipy.special import stdtrit

    n, mean = len(it.values), _mean(it)
    deviation = low = high = None
    if n >= 2:
        deviation = _deviation(it, resolution)
        half_width = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * deviation / math.sqrt(n)
        low, high = max(0.0, mean - half_width), min(1.0, mean + half_width)
    return Standing(
        trial=it.trial,
        parameters=it.parameters,
        n_seeds=n,
        mean=mean,
        deviation=deviation,
        low=low,
        high=high,
        chance=chance,
        is_separable=is_separable,
        n_failed=it.n_failed,
    )
