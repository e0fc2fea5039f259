"""Marks of tests."""

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from storage.embedded_postgres.programs import find_closed

NOBODY = 65534
CHECKOUT = Path(__file__).parents[2]


def _is_checkout_closed() -> bool:
    """Whether this is root's checkout, in a folder that other users may not enter."""
    if os.geteuid() != 0:
        return False
    return find_closed(pwd.getpwuid(NOBODY), [CHECKOUT, *CHECKOUT.parents]) is not None


needs_open_checkout = pytest.mark.skipif(
    _is_checkout_closed(), reason="another user may not enter the folder of this checkout"
)


def rest_slow(first: Any, *rest: Any) -> list[Any]:
    """Return the values of a parameter, of which all but the first are for the slow tests."""
    return [first, *(pytest.param(value, marks=pytest.mark.slow) for value in rest)]
