"""Shared parts of figures of parameters: which are shown, and values as coordinates."""

from collections import Counter
from dataclasses import dataclass
from math import isfinite
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from analysis.report.cautions import position_in_range
from analysis.report.facts import SearchResults
from analysis.report.figures import theme

MAX_PARAMETERS = 8
MIN_TRIALS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """Axis of a parameter: its `choices`, or numbers, on a logarithmic scale or not."""

    name: str
    choices: tuple[Any, ...]
    is_log: bool
    low: float = 0.0
    high: float = 1.0
    is_integer: bool = False

    def position(self, value: Any) -> float:
        """Return the position of a value on the axis, from 0 to 1."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if self.high == self.low:
            return 0.5
        return position_in_range(float(value), self.low, self.high, is_log=self.is_log)

    def ticks(self, lang: str = "en") -> list[tuple[float, str]]:
        """Return positions and labels: all choices, or the ends of the range."""
        if self.choices:
            return [(self.position(it), theme.format_choice(it, lang)) for it in self.choices]
        ends = [self.low] if self.low == self.high else [self.low, self.high]
        return [(self.position(it), theme.localized(_short(it), lang)) for it in ends]


def shown_parameters(facts: SearchResults) -> list[str]:
    """Return parameters that several trials have, the most important or else most common first."""
    ranked = theme.trials_with_value(facts.ranking.trials)
    counts = Counter(name for trial in ranked for name in trial.params)
    names = facts.importance or sorted(counts, key=lambda it: -counts[it])
    return [it for it in names if counts[it] >= MIN_TRIALS_SHOWN][:MAX_PARAMETERS]


def axis_of(name: str, facts: SearchResults) -> Axis:
    """Return the axis of a parameter: its kind is from the space, its ends are from the trials."""
    ranked = theme.trials_with_value(facts.ranking.trials)
    values = [it.params[name] for it in ranked if name in it.params]
    found = (it.distributions[name] for it in facts.trials if name in it.distributions)
    domain: BaseDistribution | None = next(found, None)
    if isinstance(domain, CategoricalDistribution):
        others = sorted(set(values) - set(domain.choices), key=str)
        return Axis(name, (*domain.choices, *others), is_log=False)
    if not values or not all(_is_number(it) for it in values):
        return Axis(name, tuple(sorted(set(values), key=str)), is_log=False)
    low, high = min(values), max(values)
    is_log = low > 0 and getattr(domain, "log", False)
    is_integer = all(isinstance(it, int) for it in values)
    return Axis(name, (), is_log=is_log, low=low, high=high, is_integer=is_integer)


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
