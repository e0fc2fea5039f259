"""Descriptions of networks: those of their families, or a list of fields."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from spaces import Family, SearchSpace, family_names, find_family, register_family
from spaces.config import read_network
from spaces.description import describe_network, summarize_network
from spaces.families import registry

STAGES = [{"convs": 1, "channels": 32, "kernel_size": 3, "pool_size": 2}]
RECORD = {"n_cells": 3, "kind": "wide", "rate": 0.25, "sizes": [1, 2], "more": 4, "parts": [{}]}


@dataclass(frozen=True, slots=True)
class Silent:
    n_cells: int
    sizes: tuple[int, ...] = field(default=(1, 2))

    def build(self, x: Any, layers: Any) -> Any:
        return x


@dataclass(frozen=True, slots=True)
class Talking(Silent):
    def summary(self) -> str:
        return f"{self.n_cells} cells"

    def describe(self) -> str:
        raise RuntimeError("a bug of a user")


@pytest.fixture(params=[Silent, Talking])
def cells(request: pytest.FixtureRequest) -> Iterator[type]:
    class Cells(Family):
        network = request.param
        parameters = suggest = known_good = lambda *_: {}  # type: ignore[assignment]

    register_family("cells")(Cells)
    yield request.param
    del registry._families["cells"]


@pytest.mark.parametrize("family", family_names())
def test_each_family_of_the_package_describes_itself(family: str) -> None:
    space, rng = SearchSpace.create([family]), random.Random(0)
    for _ in range(20):
        config = space.random_config(rng)
        record = config.to_json()["network"]
        assert read_network(family, record) == config.network
        assert summarize_network(family, record) == config.network.summary()  # type: ignore[attr-defined]
        assert describe_network(family, record) == config.network.describe()  # type: ignore[attr-defined]


def test_family_that_is_not_registered_is_described_by_its_fields() -> None:
    assert summarize_network("mine", RECORD) == "n cells 3, kind wide, rate 0.25"
    assert describe_network("mine", RECORD) == (
        "n cells 3, kind wide, rate 0.25, sizes 1, 2, more 4, parts of 1"
    )


def test_methods_of_a_users_network_are_optional_and_may_fail(cells: type) -> None:
    record = {"n_cells": 3, "sizes": [1, 2]}
    assert read_network("cells", record) == cells(3)
    summary = "3 cells" if cells is Talking else "n cells 3"
    assert summarize_network("cells", record) == summary
    assert describe_network("cells", record) == "n cells 3, sizes 1, 2"


@pytest.mark.parametrize("record", [None, 3, "text", {"stages": None}, {"stages": [{}]}, {}])
@pytest.mark.parametrize("family", [None, [], "plain", "gone"])
def test_malformed_record_is_never_an_error(family: object, record: object) -> None:
    assert read_network(family, record) is None
    assert isinstance(summarize_network(family, record), str)
    assert isinstance(describe_network(family, record), str)


def test_network_without_stages_is_described_by_its_fields() -> None:
    assert describe_network("plain", {"stages": []}) == "stages "
    assert describe_network("plain", {"stages": STAGES}).startswith("1 stage of 32 channels")
    assert find_family("plain").network is not None
