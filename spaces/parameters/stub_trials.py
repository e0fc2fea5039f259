"""Trials without Optuna: random ones, ones of preferred values, ones that enumerate a space."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from spaces.parameters.domain_types import Value


class RandomTrial:
    """Draws every parameter uniformly from its domain, or from its logarithm."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._rng.choice(choices)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        if not log:
            return self._rng.randrange(low, high + 1, step)
        return min(
            high, max(low, round(self.suggest_float(name, low - 0.5, high + 0.5, log=True)))
        )

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        if log:
            drawn = math.exp(self._rng.uniform(math.log(low), math.log(high)))
            return min(high, max(low, drawn))
        return self._rng.uniform(low, high)


class PreferredTrial:
    """Suggests the preferred or the nearest value, and keeps it in `suggested` to be enqueued."""

    def __init__(self, preferred: Mapping[str, Value]) -> None:
        self._preferred = preferred
        self.suggested: dict[str, Value] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the preferred choice, the nearest number, or the first choice."""
        preferred = self._preferred.get(name, choices[0])
        self.suggested[name] = preferred if preferred in choices else _nearest(choices, preferred)
        return self.suggested[name]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the preferred integer, clipped, or the middle without a preference."""
        steps = (high - low) // step
        wanted = self._number(name, low, high, log=log)
        value = low + step * min(steps, max(0, round((wanted - low) / step)))
        self.suggested[name] = value
        return value

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return the preferred number, clipped, or the middle without a preference."""
        value = min(high, max(low, self._number(name, low, high, log=log)))
        self.suggested[name] = value
        return value

    def _number(self, name: str, low: float, high: float, *, log: bool) -> float:
        value = self._preferred.get(name)
        if isinstance(value, int | float):
            return value
        return math.sqrt(low * high) if log else (low + high) / 2


class UncountableSpaceError(Exception):
    """Raised when a parameter is drawn whose values cannot be counted."""


class EnumeratingTrial:
    """Enumerates a finite space depth first; `path` holds (index, number of options) per draw."""

    def __init__(self, prefix: Sequence[int]) -> None:
        self._prefix = prefix
        self.path: list[tuple[int, int]] = []

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self._next(len(choices))]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return low + step * self._next((high - low) // step + 1)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        raise UncountableSpaceError(f"`{name}` takes every number from {low} to {high}, log={log}")

    def next_prefix(self) -> list[int] | None:
        """Return the prefix of the next trial, or None after the last point."""
        path = list(self.path)
        while path and path[-1][0] == path[-1][1] - 1:
            path.pop()
        if not path:
            return None
        return [index for index, _ in path[:-1]] + [path[-1][0] + 1]

    def _next(self, n_options: int) -> int:
        depth = len(self.path)
        index = self._prefix[depth] if depth < len(self._prefix) else 0
        self.path.append((index, n_options))
        return index


def _nearest(choices: Sequence[Value], wanted: Value) -> Value:
    numbers = [choice for choice in choices if isinstance(choice, int | float)]
    if isinstance(wanted, str) or not numbers:
        return choices[0]
    return min(numbers, key=lambda number: abs(number - wanted))
