"""Drawing typed values through domains: their types, and errors for wrong domains."""

import random

import pytest

from spaces import SpaceError
from spaces.parameters.domain_types import Choices, Domain, FloatRange, IntRange
from spaces.parameters.stub_trials import RandomTrial
from spaces.parameters.suggestion import Draw

DOMAINS: dict[str, Domain] = {
    "word": Choices(("a", "b")),
    "flag": Choices((True,)),
    "count": IntRange(3, 6),
    "rate": FloatRange(0.1, 0.2),
    "whole_rate": Choices((1,)),
}


@pytest.fixture
def draw() -> Draw:
    return Draw(RandomTrial(random.Random(0)), DOMAINS)


def test_values_come_with_their_types(draw: Draw) -> None:
    assert draw.one_of("word", ("a", "b", "c")) in ("a", "b")
    assert draw.flag("flag") is True
    assert draw.integer("count") in range(3, 7)
    assert 0.1 <= draw.number("rate") <= 0.2
    assert isinstance(draw.number("whole_rate"), float)


@pytest.mark.parametrize(
    ("method", "name", "message"),
    [
        ("integer", "flag", "`flag` to be a whole number. Received: True"),
        ("integer", "word", "`word` to be a whole number"),
        ("number", "word", "`word` to be a number"),
        ("flag", "count", "`count` to be true or false"),
        ("integer", "depth", "count, flag, rate, whole_rate, word. Received: `depth`"),
    ],
)
def test_domain_of_another_kind_is_refused(
    draw: Draw, method: str, name: str, message: str
) -> None:
    with pytest.raises(SpaceError, match=message):
        getattr(draw, method)(name)


def test_unknown_choice_is_refused(draw: Draw) -> None:
    with pytest.raises(SpaceError, match=r"`word` to be one of x, y. Received: '[ab]'"):
        draw.one_of("word", ("x", "y"))
