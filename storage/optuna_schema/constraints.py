"""Optuna's constraints: their values in a trial, and whether it satisfies them."""

import math
from collections.abc import Mapping
from typing import Any

from storage.optuna_internals import CONSTRAINT_PREFIX, CONSTRAINTS


def constraint_values(attributes: Mapping[str, Any]) -> list[float]:
    """Return the values of a trial's constraints, each satisfied if it is 0 or less.

    A value that is not a number is returned as infinity: no trial satisfies it.

    Args:
        attributes: The system attributes of the trial.
    """
    found = attributes.get(CONSTRAINTS)
    values = list(found) if isinstance(found, list | tuple) else []
    values += [value for key, value in attributes.items() if key.startswith(CONSTRAINT_PREFIX)]
    return [value if isinstance(value, int | float) else math.inf for value in values]


def is_feasible(attributes: Mapping[str, Any]) -> bool:
    """Whether a trial satisfies all its constraints."""
    return all(value <= 0 for value in constraint_values(attributes))
