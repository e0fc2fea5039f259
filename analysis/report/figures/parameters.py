"""What figures of parameters share: which ones are shown, and their values as coordinates."""

from dataclasses import dataclass
from math import isfinite, log10
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from analysis.report.facts import SearchResults
from analysis.report.figures import theme

MAX_PARAMETERS = 8
MIN_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """How a parameter is drawn: by its `choices`, or as numbers, by their logarithm or not."""

    name: str
    choices: tuple[Any, ...]
    is_log: bool
    low: float = 0.0
    high: float = 1.0
    is_integer: bool = False

    def position(self, value: Any) -> float:
        """Return the place of a value on the axis, from 0 to 1."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if self.high == self.low:
            return 0.5
        low, high, at = self.low, self.high, float(value)
        if self.is_log:
            low, high, at = log10(low), log10(high), log10(at)
        return (at - low) / (high - low)

    def ticks(self, lang: str = "en") -> list[tuple[float, str]]:
        """Return places and labels: all choices, or the ends of the range."""
        if self.choices:
            return [(self.position(it), theme.format_choice(it, lang)) for it in self.choices]
        ends = [self.low] if self.low == self.high else [self.low, self.high]
        return [(self.position(it), theme.localized(_short(it), lang)) for it in ends]


def shown_parameters(facts: SearchResults) -> list[str]:
    """Return the parameters worth drawing: the most important ones that several trials have.

    Without importance, those that most trials have, in the order of the space.
    """
    counts: dict[str, int] = {}
    for trial in theme.trials_with_value(facts.ranking.trials):
        for name in trial.params:
            counts[name] = counts.get(name, 0) + 1
    if facts.importance:
        names: list[str] = list(facts.importance)
    else:
        names = sorted(counts, key=lambda it: -counts[it])
    return [it for it in names if counts.get(it, 0) >= MIN_TRIALS][:MAX_PARAMETERS]


def axis_of(name: str, facts: SearchResults) -> Axis:
    """Return the axis of a parameter: the space sets its kind, the trials its ends."""
    ranked = theme.trials_with_value(facts.ranking.trials)
    values = [it.params[name] for it in ranked if name in it.params]
    domain = _domain_of(name, facts)
    if isinstance(domain, CategoricalDistribution):
        others = sorted(set(values) - set(domain.choices), key=str)
        return Axis(name, (*domain.choices, *others), is_log=False)
    if not values or not all(_is_number(it) for it in values):
        return Axis(name, tuple(sorted(set(values), key=str)), is_log=False)
    low, high = min(values), max(values)
    is_log = low > 0 and getattr(domain, "log", False)
    is_integer = all(isinstance(it, int) for it in values)
    return Axis(name, (), is_log=is_log, low=low, high=high, is_integer=is_integer)


def _domain_of(name: str, facts: SearchResults) -> BaseDistribution | None:
    found = (it.distributions[name] for it in facts.trials if name in it.distributions)
    return next(found, None)


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
