"""Predicted cost of backbones against hand counts, Keras' own counts and TensorFlow's profiler."""

import re
from collections.abc import Iterator
from itertools import pairwise
from math import prod
from typing import Any

import keras
import pytest

from search.exported_models.allowed_layers import find_unknown_class
from spaces import SpaceError
from spaces.models.backbones import (
    BACKBONES,
    RANDOM_WEIGHTS,
    Backbone,
    backbone_cost,
    build_backbone,
    find_backbone,
    unfreeze_top,
)
from spaces.models.backbones.cost import layer_shapes
from tests.tools.describe_backbone_layers import leaf_operations
from tests.tools.marks import rest_slow

SMALL = ("vgg16", "mobilenet_v3_small")
SIZES = (75, 96, 97, 224)
CHEAP_PARAMETERS = 15_000_000


def test_cost_of_vgg16_by_hand() -> None:
    backbone = find_backbone("vgg16")
    cost = backbone_cost(backbone, (32, 32), 2)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    sides = [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2]
    pairs = list(pairwise(widths))
    assert cost.parameters == sum((9 * a + 1) * b for a, b in pairs) == 14_714_688
    assert cost.trainable_parameters == 2 * (9 * 512 + 1) * 512
    assert cost.output_shape == (1, 1, 512)
    in_convs = sum(
        side * side * b * (2 * 9 * a + 2)  # Kernel, bias, ReLU.
        for side, (a, b) in zip(sides, pairs, strict=True)
    )
    in_pools = sum(4 * side * side * c for side, c in [(16, 64), (8, 128), (4, 256), (2, 512)])
    assert cost.operations == in_convs + in_pools + 4 * 512
    # The inputs of the two trained convolutions, the output of the last one, and that of the pool.
    assert cost.retained_values == 3 * 2 * 2 * 512 + 512
    assert cost.largest_map == 2 * 2 * 512
    assert cost.peak_live_values == 2 * 32 * 32 * 64
    assert (cost.n_layers, cost.n_trained_layers) == (13, 2)


def test_frozen_backbone_retains_nothing() -> None:
    cost = backbone_cost(find_backbone("densenet121"), (96, 96), 0)
    assert (cost.trainable_parameters, cost.retained_values, cost.largest_map) == (0, 0, 0)


def test_deeper_unfreezing_trains_and_retains_more() -> None:
    for name in BACKBONES:
        backbone = find_backbone(name)
        depths = [1, 4, backbone.n_layers // 2, backbone.n_layers, backbone.n_layers + 5]
        costs = [backbone_cost(backbone, (96, 96), depth) for depth in depths]
        trained = [cost.trainable_parameters for cost in costs]
        kept = [cost.retained_values for cost in costs]
        assert trained[:4] == sorted(set(trained)), name
        assert kept[:4] == sorted(set(kept)), name
        assert costs[3] == costs[4], name


@pytest.mark.parametrize(("name", "smallest"), [("xception", 71), ("inception_v3", 75)])
def test_image_below_the_smallest_size_is_refused_with_both(name: str, smallest: int) -> None:
    backbone = find_backbone(name)
    assert backbone_cost(backbone, (smallest, smallest), 1).operations > 0
    message = f"at least {smallest}×{smallest} pixels for {name}. Received: 96×{smallest - 1}"
    with pytest.raises(SpaceError, match=message):
        backbone_cost(backbone, (96, smallest - 1), 1)


@pytest.mark.parametrize("name", rest_slow(*SMALL))
def test_cost_is_that_of_the_network(name: str) -> None:
    backbone = find_backbone(name)
    for size in SIZES:
        assert_shapes_and_weights(backbone, size, size + size % 3)
    model = build_backbone(name, (96, 96, 3), RANDOM_WEIGHTS)
    assert_cost_at_every_depth(backbone, model, range(backbone.n_layers + 2))


@pytest.fixture(scope="module", params=BACKBONES)
def every_backbone(request: pytest.FixtureRequest) -> Iterator[tuple[Backbone, Any]]:
    """Each backbone, and its network for the smallest images."""
    backbone = find_backbone(request.param)
    shape = (backbone.min_size, backbone.min_size, 3)
    yield backbone, build_backbone(backbone.name, shape, RANDOM_WEIGHTS)
    keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_cost_of_every_backbone_is_that_of_the_network(
    every_backbone: tuple[Backbone, Any],
) -> None:
    backbone, model = every_backbone
    is_cheap = model.count_params() < CHEAP_PARAMETERS
    for size in (96, 97) if is_cheap else (97,):
        assert_shapes_and_weights(backbone, size, size)
    assert_cost_at_every_depth(backbone, model, range(0, backbone.n_layers + 1, 7))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_exported_model_may_have_every_layer_of_every_backbone(
    every_backbone: tuple[Backbone, Any],
) -> None:
    config = every_backbone[1].to_json()
    assert set(re.findall(r'"module": "(\w+)', config)) == {"keras"}
    assert find_unknown_class(config.encode()) is None


def assert_shapes_and_weights(backbone: Backbone, height: int, width: int) -> None:
    """Compare with a network that Keras has built, map by map."""
    network = getattr(keras.applications, backbone.keras_name)
    model = network(weights=None, include_top=False, input_shape=(height, width, 3))
    cost = backbone_cost(backbone, (height, width), 0)
    assert cost.output_shape == model.output_shape[1:]
    assert cost.parameters == model.count_params()
    sizes = [prod(shape) for shape in layer_shapes(backbone.name, (height, width))]
    assert sizes == [prod(layer.output.shape[1:]) for layer in leaf_operations(model)]


def assert_cost_at_every_depth(backbone: Backbone, model: Any, depths: range) -> None:
    image_size = model.input_shape[1:3]
    cost = backbone_cost(backbone, image_size, 0)
    assert cost.output_shape == model.output_shape[1:]
    assert cost.parameters == model.count_params()
    profiled = profiled_operations(model, model.input_shape[1:])
    assert cost.operations == pytest.approx(profiled, rel=0.1)
    for depth in depths:
        unfreeze_top(model, depth)
        trained = sum(prod(variable.shape) for variable in model.trainable_variables)
        assert backbone_cost(backbone, image_size, depth).trainable_parameters == trained, depth


def profiled_operations(model: Any, shape: tuple[int, int, int]) -> int:
    """Return the operations that TensorFlow's profiler counts in the forward pass of an image.

    Weights are inputs of the graph: as constants, large ones would take gigabytes.
    """
    import tensorflow as tf

    def specs(variables: Any) -> list[Any]:
        return [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables]

    forward = tf.function(lambda *inputs: model.stateless_call(*inputs, training=False)[0])
    concrete = forward.get_concrete_function(
        specs(model.trainable_variables),
        specs(model.non_trainable_variables),
        tf.TensorSpec((1, *shape), tf.float32),
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = tf.compat.v1.profiler.profile(concrete.graph, cmd="op", options=options)
    return int(profile.total_float_ops)
