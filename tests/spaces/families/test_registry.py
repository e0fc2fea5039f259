"""Families by name, a user's own among them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from spaces import Config, Family, SearchSpace, SpaceError, predict_cost, register_family
from spaces.families import (
    builtin_families,
    default_families,
    family_names,
    find_family,
    registry,
)
from spaces.keras_models import build_model
from spaces.models import conv_block
from spaces.models.layers import Layers
from spaces.parameters.domain_types import Domain, IntRange, Value
from spaces.parameters.suggestion import Draw


@dataclass(frozen=True, slots=True)
class OneConvolution:
    width: int

    def build(self, x: Any, layers: Layers[Any]) -> Any:
        return conv_block(x, self.width, 3, layers, name="only")


class Mine(Family):
    network = OneConvolution

    def parameters(self) -> dict[str, Domain]:
        return {"mine_width": IntRange(2, 4)}

    def suggest(self, draw: Draw) -> OneConvolution:
        return OneConvolution(width=draw.integer("mine_width"))

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return [{"mine_width": 3}]


@pytest.fixture
def mine() -> Iterator[None]:
    register_family("mine")(Mine)
    yield
    del registry._families["mine"]


def test_order_of_families_stays() -> None:
    """The choices of `family` are in this order, so results of a seed depend on it."""
    scratch = ("plain", "vgg", "inception", "residual", "dense")
    assert default_families()[: len(scratch)] == scratch
    assert [it for it in builtin_families() if it not in default_families()] == ["transfer"]


@pytest.mark.usefixtures("mine")
def test_family_from_outside_is_not_one_of_the_package() -> None:
    assert "mine" in family_names()
    assert "mine" not in builtin_families()
    assert "mine" not in default_families()


def test_each_family_of_the_package_is_one_file_in_each_of_two_folders() -> None:
    for name in builtin_families():
        family = find_family(name)
        assert type(family).__module__ == f"spaces.families.{name}"
        assert family.network.__module__ == f"spaces.models.{name}"


def test_plain_is_found_by_its_name() -> None:
    assert "plain" in family_names()
    assert "stages" in find_family("plain").parameters()


def test_registering_a_name_twice_is_refused() -> None:
    with pytest.raises(SpaceError, match="`plain`, which is taken"):
        register_family("plain")(Mine)


@pytest.mark.usefixtures("mine")
def test_family_from_outside_has_its_way_to_a_model_and_its_cost() -> None:
    space = SearchSpace.create(["mine"], {"mine_width": 3, "head": "global_average"})
    config = space.random_config(random.Random(0))
    assert config.network == OneConvolution(width=3)
    assert Config.from_json(config.to_json()) == config
    model = build_model(config, (8, 8, 1), 2, seed=0, mean=[0.0], std=[1.0])
    assert predict_cost(config, (8, 8, 1), 2).parameters == model.count_params()


@pytest.mark.usefixtures("mine")
def test_family_is_drawn_where_there_are_several() -> None:
    space = SearchSpace.create(["plain", "mine"])
    rng = random.Random(0)
    assert {space.random_config(rng).family for _ in range(20)} == {"plain", "mine"}
    starts = [good["family"] for good in space.known_good()]
    assert starts == ["plain", "mine"] + ["plain"] * (len(starts) - 2)
    assert [good["family"] for good in space.known_good(1)] == ["plain", "mine"]
    assert SearchSpace.create(["plain"]).differences(space) == [
        "families: plain, mine there, plain here"
    ]


class Clashing(Mine):
    def parameters(self) -> dict[str, Domain]:
        return {"stages": IntRange(7, 9)}


def test_families_that_disagree_on_a_parameter_are_refused() -> None:
    register_family("clashing")(Clashing)
    try:
        with pytest.raises(SpaceError, match="`stages` of 1–5 and, in `clashing`, of 7–9"):
            SearchSpace.create(["plain", "clashing"])
    finally:
        del registry._families["clashing"]
