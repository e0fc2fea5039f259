"""The domains of parameters: which values one may take, and how a trial draws one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from spaces.errors import SpaceError

Value = str | int | float | bool


class Trial(Protocol):
    """The part of an Optuna trial that a space draws from."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Suggest one of `choices`."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Suggest an integer from `low` to `high`, both included."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Suggest a number from `low` to `high`."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Values without an order."""

    values: tuple[Value, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether only one value is left."""
        return len(self.values) == 1

    @property
    def first(self) -> Value:
        """The value of a fixed domain, otherwise the first one listed."""
        return self.values[0]

    def suggest(self, trial: Trial, name: str) -> Value:
        """Draw a value from the trial."""
        value: Value = trial.suggest_categorical(name, self.values)
        return value

    def __str__(self) -> str:
        return ", ".join(show(value) for value in self.values)


@dataclass(frozen=True, slots=True)
class IntRange:
    """Integers from `low` to `high`, both included, every `step`."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether only one value is left."""
        return self.high - self.low < self.step

    @property
    def first(self) -> int:
        """The value of a fixed domain, otherwise its lowest one."""
        return self.low

    def suggest(self, trial: Trial, name: str) -> int:
        """Draw a value from the trial."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def __str__(self) -> str:
        steps = f" by {self.step}" if self.step > 1 else ""
        return show(self.low) if self.is_fixed else f"{self.low}–{self.high}{steps}"


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether only one value is left."""
        return self.low == self.high

    @property
    def first(self) -> float:
        """The value of a fixed domain, otherwise its lowest one."""
        return self.low

    def suggest(self, trial: Trial, name: str) -> float:
        """Draw a value from the trial."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def __str__(self) -> str:
        return show(self.low) if self.is_fixed else f"{show(self.low)}–{show(self.high)}"


Domain = Choices | IntRange | FloatRange

_KINDS: dict[str, type[Domain]] = {"choices": Choices, "int": IntRange, "float": FloatRange}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def domain_to_json(domain: Domain) -> dict[str, Any]:
    """Return the domain as a JSON object for `domain_from_json`."""
    record = {"kind": _NAMES[type(domain)], **asdict(domain)}
    if isinstance(domain, Choices):
        record["values"] = list(domain.values)
    return record


def domain_from_json(record: Mapping[str, Any]) -> Domain:
    """Read a domain from a record of `domain_to_json`.

    Raises:
        SpaceError: If the record is not one of a domain.
    """
    fields = dict(record)
    try:
        kind = _KINDS[fields.pop("kind")]
        if kind is Choices:
            fields["values"] = tuple(fields["values"])
        return kind(**fields)
    except (KeyError, TypeError) as error:
        raise SpaceError(f"Expected a parameter's domain. Received: {record!r}.") from error


def show(value: object) -> str:
    """Format a value as in a study file, floats with six significant digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
