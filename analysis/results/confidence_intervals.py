"""Confidence intervals of scores: bootstrap intervals, and exact ones of proportions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
N_RESAMPLES = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """A score from 0 to 1 with its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def is_constant(self) -> bool:
        """Whether all resamples have this value, so that the uncertainty is unknown."""
        return self.low == self.high


def draw_resamples(n: int, groups: Sequence[object] | None, n_resamples: int, seed: int) -> Floats:
    """Draw how often each image is in each resample, shape `(n_resamples, n)`."""
    rng = np.random.default_rng(seed)
    units = list(range(n) if groups is None else dict.fromkeys(groups))
    m = len(units)
    drawn = rng.multinomial(m, np.full(m, 1 / m), size=n_resamples).astype(np.float64)
    if groups is None:
        return drawn
    positions = {group: position for position, group in enumerate(units)}
    return drawn[:, [positions[group] for group in groups]]


def bootstrap_interval(found: Floats, resampled: Floats) -> Score:
    """Return a score with its percentile interval over the resamples that have a value."""
    tail = (1 - LEVEL) / 2
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Score(float(found[0]), float(low), float(high))


def proportion_interval(found: Floats, resampled: Floats, n: int) -> Score:
    """Return the interval of a proportion of `n` images or groups, exact where it is 0 or 1.

    Resamples of predictions that are all correct do not show how many errors were missed.
    """
    value = float(found[0])
    if n == 0 or 0 < value < 1:
        return bootstrap_interval(found, resampled)
    least = ((1 - LEVEL) / 2) ** (1 / n)  # Clopper and Pearson's closed form.
    return Score(1.0, least, 1.0) if value == 1 else Score(0.0, 0.0, 1 - least)


def count_units(groups: Sequence[object] | None, mask: NDArray[np.bool_]) -> int:
    """Count the independent units among the masked images: the images or their groups."""
    if groups is None:
        return int(mask.sum())
    return len({group for group, is_one in zip(groups, mask, strict=True) if is_one})
