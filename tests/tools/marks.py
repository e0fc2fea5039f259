"""Marks of parametrized tests."""

from typing import Any

import pytest


def rest_slow(first: Any, *rest: Any) -> list[Any]:
    """Return the values of a parameter, of which all but the first are for the slow tests."""
    return [first, *(pytest.param(value, marks=pytest.mark.slow) for value in rest)]
