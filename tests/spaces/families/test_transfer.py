"""The family `transfer`: its networks, its inactive parameters, and its cost."""

import math
import random
from typing import Any

import pytest

from spaces import Config, SearchSpace, predict_cost
from spaces.families import find_family
from spaces.keras_models import build_model
from spaces.models.backbones import find_backbone
from spaces.models.transfer import TransferNetwork
from spaces.parameters.domain_types import Value
from spaces.parameters.stub_trials import PreferredTrial

N_CLASSES = 3
SMALL = ["mobilenet", "mobilenet_v2", "vgg16"]


def draw(**preferred: Value) -> Config:
    values: dict[str, Value] = {"backbone": "mobilenet_v2", **preferred}
    return SearchSpace.create(["transfer"]).suggest(PreferredTrial(values))


def test_network_is_drawn_from_its_parameters() -> None:
    config = draw(unfrozen_layers=7, fine_tuning_rate=0.25)
    assert config.network == TransferNetwork("mobilenet_v2", 7, 0.25)
    assert find_family("transfer").n_phases == 2
    assert find_family("transfer").image_set == "transfer"


def test_more_layers_than_there_are_mean_all() -> None:
    layers = find_backbone("vgg16").n_layers
    configs = [draw(backbone="vgg16", unfrozen_layers=n) for n in (layers, layers + 1, 64)]
    assert len({config.key() for config in configs}) == 1


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ({"batch_normalization": True}, {"batch_normalization": False}, True),
        (
            {"dense_layers": 0, "activation": "elu"},
            {"dense_layers": 0, "activation": "tanh"},
            True,
        ),
        (
            {"dense_layers": 1, "activation": "elu"},
            {"dense_layers": 1, "activation": "tanh"},
            False,
        ),
    ],
)
def test_configs_differ_only_in_active_parameters(
    one: dict[str, Any], other: dict[str, Any], are_equal: bool
) -> None:
    assert (draw(**one).key() == draw(**other).key()) == are_equal


def test_inactive_parameters_of_the_head_are_not_suggested() -> None:
    trial = PreferredTrial({"backbone": "mobilenet_v2", "dense_layers": 0})
    SearchSpace.create(["transfer"]).suggest(trial)
    assert not {"batch_normalization", "activation"} & set(trial.suggested)


def test_known_good_networks_are_suggested_unchanged() -> None:
    space = SearchSpace.create(["transfer"], {"backbone": "densenet121"})
    found = space.known_good()
    written = find_family("transfer").known_good()
    assert len(found) == len(written) >= 4
    for suggested, values in zip(found, written, strict=True):
        assert all(values.get(name, value) == value for name, value in suggested.items())


def test_configs_survive_json() -> None:
    space, rng = SearchSpace.create(["transfer"]), random.Random(0)
    for _ in range(50):
        config = space.random_config(rng)
        assert Config.from_json(config.to_json()) == config


@pytest.mark.parametrize("n_configs", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_parameters_equal_what_keras_counts(n_configs: int) -> None:
    import keras

    space = SearchSpace.create(["transfer"], {"backbone": SMALL})
    rng = random.Random(1)
    for _ in range(n_configs):
        keras.utils.clear_session()
        config, shape = space.random_config(rng), (rng.choice((32, 48)), 48, rng.choice((1, 3)))
        model = build_model(
            config, shape, N_CLASSES, seed=0, mean=[100.0] * shape[2], std=[50.0] * shape[2]
        )
        cost = predict_cost(config, shape, N_CLASSES)
        assert cost.parameters == model.count_params(), config
        trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        assert cost.trainable_parameters == trainable, config


def test_memory_is_the_sum_of_backbone_and_head() -> None:
    shape = (96, 96, 1)
    few = predict_cost(draw(unfrozen_layers=1), shape, N_CLASSES)
    many = predict_cost(draw(unfrozen_layers=40), shape, N_CLASSES)
    wide = predict_cost(draw(dense_layers=1, dense1_units=512, head="flatten"), shape, N_CLASSES)
    assert few.memory_mb > 100
    assert many.memory_mb > few.memory_mb + 50
    assert wide.memory_mb > few.memory_mb + 100
