"""The families made of blocks: what their parameters become, and which images they take."""

import random
from typing import Any

import pytest

from spaces import Config, SearchSpace, SpaceError, predict_cost
from spaces.families import default_families, find_family
from spaces.families.inception import split_width
from spaces.models.dense import DenseNetwork
from spaces.models.inception import InceptionNetwork, InceptionWidths
from spaces.models.residual import ResidualNetwork
from spaces.models.vgg import VggNetwork
from spaces.parameters.domain_types import Choices, FloatRange
from spaces.parameters.stub_trials import PreferredTrial

FAMILIES = tuple(name for name in default_families() if name != "plain")
NETWORKS: list[tuple[str, dict[str, Any], Any]] = [
    (
        "vgg",
        {
            "vgg_blocks": 3,
            "vgg_convs": 2,
            "vgg_width": 10,
            "vgg_width_growth": 1.5,
            "block_dropout": 0.1,
        },
        VggNetwork(widths=(10, 15, 22), convs=2, dropout=0.1),
    ),
    (
        "inception",
        {
            "inception_stages": 2,
            "inception_blocks": 3,
            "inception_width": 64,
            "inception_width_growth": 2.0,
            "inception_parts_1x1": 2,
            "inception_parts_3x3": 4,
            "inception_parts_5x5": 1,
            "inception_parts_pool": 1,
            "inception_reduction": 0.5,
            "block_dropout": 0.0,
        },
        InceptionNetwork(
            stem=32,
            stages=(InceptionWidths(16, 16, 32, 4, 8, 8), InceptionWidths(32, 32, 64, 8, 16, 16)),
            blocks=3,
            dropout=0.0,
        ),
    ),
    (
        "residual",
        {
            "residual_stages": 2,
            "residual_blocks": 3,
            "residual_width": 16,
            "residual_width_growth": 2.0,
            "residual_bottleneck": True,
            "residual_version": "v1",
            "block_dropout": 0.3,
        },
        ResidualNetwork((16, 32), blocks=3, version="v1", bottleneck=True, dropout=0.3),
    ),
    (
        "dense",
        {
            "densenet_blocks": 3,
            "densenet_layers": 4,
            "densenet_growth_rate": 12,
            "densenet_compression": 0.5,
            "densenet_bottleneck": True,
            "block_dropout": 0.2,
        },
        DenseNetwork(
            blocks=3, n_layers=4, growth_rate=12, compression=0.5, bottleneck=True, dropout=0.2
        ),
    ),
]
NETWORK_IDS = [name for name, _, _ in NETWORKS]


@pytest.mark.parametrize(
    ("family", "parameters", "network"), NETWORKS, ids=[it[0] for it in NETWORKS]
)
def test_parameters_become_a_network(
    family: str, parameters: dict[str, Any], network: object
) -> None:
    trial = PreferredTrial(parameters)
    assert SearchSpace.create([family]).suggest(trial).network == network
    own = set(find_family(family).parameters())
    assert {name for name in trial.suggested if name in own} == set(parameters) == own


@pytest.mark.parametrize(
    ("family", "single", "inactive"),
    [
        ("vgg", "vgg_blocks", "vgg_width_growth"),
        ("inception", "inception_stages", "inception_width_growth"),
        ("residual", "residual_stages", "residual_width_growth"),
        ("dense", "densenet_blocks", "densenet_compression"),
    ],
)
def test_what_happens_between_blocks_is_not_asked_of_one(
    family: str, single: str, inactive: str
) -> None:
    trial = PreferredTrial({single: 1})
    SearchSpace.create([family]).suggest(trial)
    assert inactive not in trial.suggested


@pytest.mark.parametrize(
    ("width", "parts", "reduction", "widths"),
    [
        (256, (2, 4, 1, 1), 0.75, InceptionWidths(64, 96, 128, 24, 32, 32)),
        (16, (1, 4, 4, 4), 0.25, InceptionWidths(1, 1, 5, 1, 5, 5)),
        (2, (1, 1, 1, 4), 0.25, InceptionWidths(1, 1, 1, 1, 1, 1)),
    ],
)
def test_branches_share_the_width_and_none_is_empty(
    width: int, parts: tuple[int, ...], reduction: float, widths: InceptionWidths
) -> None:
    assert split_width(width, parts, reduction) == widths


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 96, 3), (96, 96, 3)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_network_takes_images_from_28_to_96_pixels(
    family: str, shape: tuple[int, int, int]
) -> None:
    space, rng = SearchSpace.create([family]), random.Random(0)
    for _ in range(100):
        maps = predict_cost(space.random_config(rng), shape, 4).feature_maps
        assert all(min(size) >= 1 for _, size in maps)


@pytest.mark.parametrize(
    ("family", "narrowed"),
    [
        ("vgg", {"vgg_blocks": 4}),
        ("inception", {"inception_stages": 3}),
        ("residual", {"residual_stages": 4}),
        ("dense", {"densenet_blocks": 4}),
    ],
)
def test_images_too_small_for_every_network_are_refused(
    family: str, narrowed: dict[str, object]
) -> None:
    with pytest.raises(SpaceError, match="Received: 2×2 pixels; raise --image-size"):
        SearchSpace.create([family], narrowed).check_image_shape((2, 2, 1), 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_most_networks_keep_the_default_limit_of_operations(family: str) -> None:
    space, rng = SearchSpace.create([family]), random.Random(0)
    costs = [predict_cost(space.random_config(rng), (32, 32, 1), 4) for _ in range(200)]
    assert sum(cost.operations <= 150e6 for cost in costs) > 120


@pytest.mark.parametrize("family", FAMILIES)
def test_known_good_networks_are_drawn_as_they_are_written(family: str) -> None:
    space = SearchSpace.create([family])
    known_good = find_family(family).known_good()
    assert 4 <= len(known_good) <= 6
    assert [dict(it) for it in known_good] == space.known_good()
    for parameters in known_good:
        cost = predict_cost(space.suggest(PreferredTrial(parameters)), (32, 32, 1), 4)
        assert cost.operations <= 150e6


@pytest.mark.parametrize("family", FAMILIES)
def test_configs_survive_json(family: str) -> None:
    space, rng = SearchSpace.create([family]), random.Random(0)
    for _ in range(50):
        config = space.random_config(rng)
        assert Config.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("family", "key", "value", "message"),
    [
        ("residual", "version", "v3", "`version` = 'v3'"),
        ("residual", "widths", [16, 0], r"`widths.1` = 0"),
        ("dense", "compression", 0.0, "`compression` = 0.0"),
        ("vgg", "dropout", 1.0, "`dropout` = 1.0"),
        ("inception", "stem", 0, "`stem` = 0"),
    ],
)
def test_bad_network_is_refused(family: str, key: str, value: object, message: str) -> None:
    record = SearchSpace.create([family]).random_config(random.Random(0)).to_json()
    record["network"][key] = value
    with pytest.raises(SpaceError, match=message):
        Config.from_json(record)


def test_families_share_their_blocks_dropout_and_all_are_drawn() -> None:
    space = SearchSpace.create(["plain", *FAMILIES], {"block_dropout": {"high": 0.1}})
    assert space.domains["block_dropout"] == FloatRange(0.0, 0.1)
    rng = random.Random(0)
    configs = [space.random_config(rng) for _ in range(60)]
    assert {config.family for config in configs} == {"plain", *FAMILIES}
    for config in configs:
        assert getattr(config.network, "dropout", 0.0) <= 0.1
    assert {it["family"] for it in space.known_good()} == {"plain", *FAMILIES}


def test_only_what_a_family_asks_is_drawn_where_there_are_several() -> None:
    trial = PreferredTrial({"family": "vgg"})
    SearchSpace.create(["plain", *FAMILIES]).suggest(trial)
    others = ("stage", "inception_", "residual_", "densenet_")
    assert not [name for name in trial.suggested if name.startswith(others)]
    assert "vgg_convs" in trial.suggested


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("inception_parts_3x3", [1, 2], Choices((1, 2))),
        ("residual_version", "v2", Choices(("v2",))),
        ("vgg_width", 64, Choices((64,))),
        ("densenet_compression", {"low": 0.5}, FloatRange(0.5, 1.0)),
    ],
)
def test_study_file_narrows_by_the_whole_name(key: str, value: object, expected: object) -> None:
    space = SearchSpace.create(["plain", *FAMILIES], {key: value})
    assert space.domains[key] == expected


@pytest.mark.parametrize("key", ["blocks", "width", "3x3", "parts_3x3", "version"])
def test_part_of_a_name_is_refused(key: str) -> None:
    with pytest.raises(SpaceError, match=f"Received: `{key}`"):
        SearchSpace.create(FAMILIES, {key: 2})
