"""The pinned packages can be installed with each Python that convsearch supports."""

from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
OLDEST, NEWEST = "3.11.0", "3.13.0"
"""Debian 12 has Python 3.11.2, and a pin that needs a later patch stops its installation."""


def read_pins() -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize("python", [OLDEST, NEWEST])
def test_every_pin_admits_this_python(python: str) -> None:
    needed = {}
    for pin in read_pins():
        try:
            installed = metadata(pin.name)
        except PackageNotFoundError:  # Of an extra, or of another system.
            continue
        assert installed["Version"] in pin.specifier, f"{pin} is not what is installed"
        needed[str(pin)] = installed["Requires-Python"] or ""
    assert len(needed) > 50
    assert [pin for pin, text in needed.items() if python not in SpecifierSet(text)] == []
