"""The dense block and the transition: their layers, shapes and parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces import SpaceError
from spaces.cost.cost_layers import CostLayers
from spaces.models.dense import DenseNetwork, dense_block, transition

Layers = Callable[..., CostLayers]


@pytest.mark.parametrize(
    ("bottleneck", "normalized", "parameters"),
    [
        (False, False, (9 * 5 + 1) * 3 + (9 * 8 + 1) * 3),
        (False, True, (9 * 5 + 1) * 3 + (9 * 8 + 1) * 3 + 4 * (5 + 8)),
        (True, False, (5 + 1) * 12 + (8 + 1) * 12 + 2 * (9 * 12 + 1) * 3),
        (True, True, (5 + 1) * 12 + (8 + 1) * 12 + 2 * (9 * 12 + 1) * 3 + 4 * (5 + 8 + 2 * 12)),
    ],
)
def test_each_layer_gets_the_outputs_of_all_before_it(
    cost_layers: Layers,
    block_model: Callable[..., Any],
    bottleneck: bool,
    normalized: bool,
    parameters: int,
) -> None:
    def block(x: Any, layers: Any) -> Any:
        return dense_block(x, 2, 3, layers, bottleneck=bottleneck, name="b")

    layers = cost_layers(normalized=normalized)
    assert block((9, 7, 5), layers) == (9, 7, 5 + 2 * 3)
    assert layers.parameters == parameters
    model = block_model(block, (9, 7, 5), normalized=normalized)
    assert model.output_shape == (None, 9, 7, 11)
    assert model.count_params() == parameters


def test_output_begins_with_the_unchanged_input(block_model: Callable[..., Any]) -> None:
    model = block_model(lambda x, layers: dense_block(x, 2, 3, layers, name="b"), (4, 4, 5))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 5)).astype("float32")
    np.testing.assert_array_equal(np.asarray(model(x))[..., :5], x)


@pytest.mark.parametrize(("compression", "channels"), [(1.0, 7), (0.5, 3), (0.01, 1)])
def test_transition_compresses_channels_and_halves_the_map(
    cost_layers: Layers, block_model: Callable[..., Any], compression: float, channels: int
) -> None:
    def block(x: Any, layers: Any) -> Any:
        return transition(x, compression, layers, name="t")

    layers = cost_layers(normalized=True)
    assert block((9, 8, 7), layers) == (4, 4, channels)
    assert layers.parameters == (7 + 1) * channels + 4 * 7
    model = block_model(block, (9, 8, 7), normalized=True)
    assert model.output_shape == (None, 4, 4, channels)
    assert model.count_params() == layers.parameters


def test_transition_of_a_map_that_cannot_be_halved_is_refused(
    cost_layers: Layers, block_model: Callable[..., Any]
) -> None:
    def block(x: Any, layers: Any) -> Any:
        return transition(x, 0.5, layers, name="t")

    for build in (lambda: block((1, 5, 4), cost_layers()), lambda: block_model(block, (1, 5, 4))):
        with pytest.raises(SpaceError, match="`t_pool` reduces a 1×5 map by 2"):
            build()


def test_dropout_follows_every_convolution_but_the_stem(cost_layers: Layers) -> None:
    network = DenseNetwork(
        blocks=2, n_layers=1, growth_rate=4, compression=0.5, bottleneck=True, dropout=0.2
    )
    layers = cost_layers()
    assert network.build((9, 8, 1), layers) == (4, 4, (2 * 4 + 4) // 2 + 4)
    names = [name for name, _ in layers.feature_maps]
    convolutions = [name for name in names if f"{name}_dropout" in names]
    assert convolutions == [
        *("block1_layer1_narrow", "block1_layer1_conv", "transition1_conv"),
        *("block2_layer1_narrow", "block2_layer1_conv"),
    ]
    assert sum(name.endswith("_dropout") for name in names) == len(convolutions)


def test_network_grows_by_its_growth_rate(cost_layers: Layers) -> None:
    network = DenseNetwork(
        blocks=3, n_layers=2, growth_rate=4, compression=0.5, bottleneck=False, dropout=0.0
    )
    layers = cost_layers()
    assert network.build((28, 29, 1), layers) == (7, 7, 16)
    maps = dict(layers.feature_maps)
    assert maps["stem"] == (28, 29, 8)
    assert maps["block1_layer2_concat"] == (28, 29, 16)
    assert maps["transition1_conv"] == (28, 29, 8)
    assert maps["block2_layer1_concat"] == (14, 14, 12)
