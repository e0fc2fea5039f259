"""One draw of parameters from a trial, through the domains of a narrowed space."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from spaces.errors import SpaceError
from spaces.parameters.domain_types import Choices, Domain, Trial, Value

T = TypeVar("T", bound=str | int)


class Draw:
    """Draws the values of one trial by name; a fixed parameter is never suggested."""

    def __init__(self, trial: Trial, domains: Mapping[str, Domain]) -> None:
        self._trial = trial
        self._domains = domains

    def fixed(self, values: Mapping[str, Value]) -> "Draw":
        """Return this draw with some parameters fixed, so that they are not suggested."""
        domains = {name: Choices((value,)) for name, value in values.items()}
        return Draw(self._trial, {**self._domains, **domains})

    def one_of(self, name: str, known: Sequence[T]) -> T:
        """Draw one of the `known` values, which have its type.

        Raises:
            SpaceError: If the domain holds a value that is not known.
        """
        value = self._value(name)
        if value not in known:
            raise _value_error(name, f"one of {', '.join(map(str, known))}", value)
        return known[known.index(value)]

    def integer(self, name: str) -> int:
        """Draw a whole number."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _value_error(name, "a whole number", value)
        return value

    def number(self, name: str) -> float:
        """Draw a number."""
        value = self._value(name)
        if isinstance(value, bool | str):
            raise _value_error(name, "a number", value)
        return float(value)

    def flag(self, name: str) -> bool:
        """Draw true or false."""
        value = self._value(name)
        if not isinstance(value, bool):
            raise _value_error(name, "true or false", value)
        return value

    def _value(self, name: str) -> Value:
        domain = self._domains.get(name)
        if domain is None:
            known = ", ".join(sorted(self._domains))
            raise SpaceError(f"Expected a parameter of this space: {known}. Received: `{name}`.")
        return domain.first if domain.is_fixed else domain.suggest(self._trial, name)


def _value_error(name: str, expected: str, value: Value) -> SpaceError:
    return SpaceError(f"Expected `{name}` to be {expected}. Received: {value!r}.")
