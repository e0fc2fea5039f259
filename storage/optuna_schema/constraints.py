"""Optuna's constraints: their values in a trial, and whether it satisfies them."""

import math
from collections.abc import Mapping
from typing import Any

from storage.optuna_internals import CONSTRAINT_PREFIX, CONSTRAINTS


def constraint_values(attributes: Mapping[str, Any]) -> list[float]:
    """Return the values of constraints in a trial's system attributes, satisfied if 0 or less.

    A value that is not a number is returned as infinity, so that the constraint is not satisfied.
    """
    found = attributes.get(CONSTRAINTS)
    values = list(found) if isinstance(found, list | tuple) else []
    values += [value for key, value in attributes.items() if key.startswith(CONSTRAINT_PREFIX)]
    return [value if isinstance(value, int | float) else math.inf for value in values]


def is_feasible(attributes: Mapping[str, Any]) -> bool:
    """Whether a trial with these system attributes satisfies all its constraints."""
    return all(value <= 0 for value in constraint_values(attributes))
