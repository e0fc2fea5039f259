"""Predicted cost against hand counts, Keras' own parameter count and TensorFlow's profiler."""

import math
import random

import pytest

from spaces import Config, SearchSpace, SpaceError, predict_cost
from spaces.families import default_families
from spaces.keras_models import build_model
from tests.tools.marks import rest_slow

SHAPE = (32, 32, 1)
N_CLASSES = 4
FAMILIES = default_families()
SMALL: dict[str, object] = {
    "stages": 1,
    "convs": 1,
    "channels": 8,
    "kernel_size": 3,
    "pool": True,
    "pool_size": 2,
    "head": "flatten",
    "dense_layers": 1,
    "units": 32,
    "batch_normalization": True,
    "batch_size": 16,
    "optimizer": "sgd",
    "sgd_momentum": 0.0,
    "activation": "relu",
}


def small_config(**changes: object) -> Config:
    return SearchSpace.create(["plain"], SMALL | changes).random_config(random.Random(0))


def test_parameters_and_operations_as_worked_by_hand() -> None:
    cost = predict_cost(small_config(), SHAPE, N_CLASSES)
    convolution, norm = (3 * 3 * 1 + 1) * 8, 4 * 8
    hidden, output = (16 * 16 * 8 + 1) * 32, (32 + 1) * 4
    assert cost.parameters == convolution + norm + hidden + output
    assert cost.trainable_parameters == cost.parameters - 2 * 8
    pixels = 32 * 32
    multiplications = 2 * (9 * 8 * pixels + 16 * 16 * 8 * 32 + 32 * 4)
    assert multiplications < cost.operations < 1.4 * multiplications


def test_feature_maps_are_named_and_shaped() -> None:
    maps = dict(predict_cost(small_config(), SHAPE, N_CLASSES).feature_maps)
    assert maps["stage1_conv1"] == (32, 32, 8)
    assert maps["stage1_pool"] == (16, 16, 8)
    assert maps["flatten"] == (2048,)
    assert maps["dense1"] == (32,)
    assert maps["probabilities"] == (4,)


def test_pooling_ignores_rows_that_do_not_fill_a_window() -> None:
    cost = predict_cost(small_config(pool_size=3), SHAPE, N_CLASSES)
    assert dict(cost.feature_maps)["stage1_pool"] == (10, 10, 8)


def test_map_smaller_than_its_pool_is_refused() -> None:
    config = small_config(stages=4, pool_size=3)
    with pytest.raises(SpaceError, match=r"`stage4_pool` reduces a 1×1 map by 3"):
        predict_cost(config, SHAPE, N_CLASSES)
    with pytest.raises(SpaceError, match=r"`stage4_pool` reduces a 1×1 map by 3"):
        build_model(config, SHAPE, N_CLASSES, seed=0, mean=[0.0], std=[1.0])


def buildable_configs(
    space: SearchSpace, n_configs: int, seed: int, max_parameters: int
) -> list[tuple[Config, tuple[int, int, int]]]:
    """Draw configs with fitting image shapes that are small enough to build quickly."""
    rng = random.Random(seed)
    found: list[tuple[Config, tuple[int, int, int]]] = []
    while len(found) < n_configs:
        config = space.random_config(rng)
        shape = (rng.randint(8, 48), rng.randint(8, 48), rng.choice((1, 3)))
        try:
            cost = predict_cost(config, shape, N_CLASSES)
        except SpaceError:
            continue
        if cost.parameters <= max_parameters:
            found.append((config, shape))
    return found


@pytest.mark.parametrize(
    ("family", "n_configs"),
    [
        ("plain", 12),
        pytest.param("plain", 150, marks=pytest.mark.slow),
        *(pytest.param(it, 50, marks=pytest.mark.slow) for it in FAMILIES if it != "plain"),
    ],
)
def test_parameters_equal_what_keras_counts_on_random_configs(family: str, n_configs: int) -> None:
    import keras

    space = SearchSpace.create([family])
    keras.utils.clear_session()
    for config, shape in buildable_configs(space, n_configs, seed=0, max_parameters=300_000):
        mean, std = [100.0] * shape[2], [50.0] * shape[2]
        model = build_model(config, shape, N_CLASSES, seed=0, mean=mean, std=std)
        cost = predict_cost(config, shape, N_CLASSES)
        assert cost.parameters == model.count_params(), config
        trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        assert cost.trainable_parameters == trainable, config
        kept = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers[2:]}
        assert dict(cost.feature_maps) == kept, config


@pytest.mark.parametrize("family", rest_slow(*FAMILIES))
def test_operations_are_within_a_tenth_of_the_profilers(family: str) -> None:
    space = SearchSpace.create([family])
    for config, shape in buildable_configs(space, 4, seed=1, max_parameters=500_000):
        cost = predict_cost(config, shape, N_CLASSES)
        assert cost.operations == pytest.approx(profiled_operations(config, shape), rel=0.1), (
            config
        )


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu", "silu", "tanh"])
def test_operations_of_the_smallest_network_are_within_a_tenth(activation: str) -> None:
    config = small_config(activation=activation, pool=False, head="global_average", units=32)
    profiled = profiled_operations(config, SHAPE)
    assert predict_cost(config, SHAPE, N_CLASSES).operations == pytest.approx(profiled, rel=0.1)


def profiled_operations(config: Config, shape: tuple[int, int, int]) -> int:
    """Return the operations that TensorFlow's profiler counts in the forward pass of an image."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2_as_graph,
    )

    mean, std = [100.0] * shape[2], [50.0] * shape[2]
    model = build_model(config, shape, N_CLASSES, seed=0, mean=mean, std=std)
    forward = tf.function(lambda images: model(images, training=False))
    concrete = forward.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    _, definition = convert_variables_to_constants_v2_as_graph(concrete)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    return int(profile.total_float_ops)
