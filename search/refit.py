"""A config of one study in the space of another: whether it can be drawn there, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spaces import Config, SearchSpace
from spaces.parameters import Value, domain_from_json
from spaces.trials import GuidedTrial


@dataclass(frozen=True, slots=True)
class Refit:
    """The parameters that draw a config in a space, as an Optuna trial keeps them."""

    config: Config
    params: Mapping[str, Value]
    distributions: Mapping[str, BaseDistribution]


def refit(
    space: SearchSpace, params: Mapping[str, Any], record: Mapping[str, Any]
) -> Refit | None:
    """Gives how a space draws a config; None where it cannot.

    Whatever has no effect on the config is free to differ: inactive parameters, and those that
    one of the spaces fixes.

    Args:
        space: The space to draw from.
        params: What the config was drawn from, `fixed_values` of its own space included.
        record: The config as JSON.
    """
    trial = _NotingTrial({**params, "family": record.get("family", "")})
    try:
        config = space.suggest(trial)
    except Exception:  # SpaceError, or whatever the code of a user's family may raise.
        return None
    if config.to_json() != record:
        return None
    return Refit(config, trial.asked, trial.distributions)


def fixed_values(space: Mapping[str, Any]) -> dict[str, Value]:
    """Gives the parameters that the record of a space fixes, which its trials do not have."""
    domains = {name: domain_from_json(record) for name, record in space["domains"].items()}
    return {name: domain.first for name, domain in domains.items() if domain.is_fixed}


class _NotingTrial(GuidedTrial):
    """A guided trial that notes the distributions which Optuna would keep."""

    def __init__(self, preferred: Mapping[str, Value]) -> None:
        super().__init__(preferred)
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.distributions[name] = CategoricalDistribution(tuple(choices))
        return super().suggest_categorical(name, choices)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        self.distributions[name] = IntDistribution(low, high, log=log, step=step)
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.distributions[name] = FloatDistribution(low, high, log=log)
        return super().suggest_float(name, low, high, log=log)
