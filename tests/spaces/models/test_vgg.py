"""The vgg block: its layers, shapes and parameters."""

from collections.abc import Callable
from typing import Any

import pytest

from spaces import Config, SpaceError
from spaces.cost.cost_layers import CostLayers
from spaces.keras_models import build_model
from spaces.models.vgg import VggNetwork, vgg_block


def test_block_is_convolutions_then_a_pooling(cost_layers: Callable[..., CostLayers]) -> None:
    layers = cost_layers(normalized=True)
    assert vgg_block((9, 8, 3), 6, 2, layers, name="b") == (4, 4, 6)
    assert [name for name, _ in layers.feature_maps] == [
        *("b_conv1", "b_conv1_norm", "b_conv1_activation"),
        *("b_conv2", "b_conv2_norm", "b_conv2_activation"),
        "b_pool",
    ]
    assert layers.parameters == (9 * 3 + 1) * 6 + (9 * 6 + 1) * 6 + 2 * 4 * 6


def test_keras_block_has_the_same_shape_and_count(block_model: Callable[..., Any]) -> None:
    model = block_model(lambda x, layers: vgg_block(x, 6, 2, layers, name="b"), (9, 8, 3))
    assert model.output_shape == (None, 4, 4, 6)
    assert model.count_params() == (9 * 3 + 1) * 6 + (9 * 6 + 1) * 6


def test_block_of_a_map_that_cannot_be_halved_is_refused(
    cost_layers: Callable[..., CostLayers], block_model: Callable[..., Any]
) -> None:
    message = "`b_pool` reduces a 1×9 map by 2"
    with pytest.raises(SpaceError, match=message):
        vgg_block((1, 9, 3), 6, 1, cost_layers(), name="b")
    with pytest.raises(SpaceError, match=message):
        block_model(lambda x, layers: vgg_block(x, 6, 1, layers, name="b"), (1, 9, 3))


def test_network_halves_the_map_in_each_block(cost_layers: Callable[..., CostLayers]) -> None:
    layers = cost_layers()
    assert VggNetwork(widths=(4, 6, 9), convs=1, dropout=0.2).build((28, 30, 1), layers) == (
        3,
        3,
        9,
    )
    assert layers.parameters == (9 + 1) * 4 + (9 * 4 + 1) * 6 + (9 * 6 + 1) * 9


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_dropout_follows_the_pooling(small_config: Callable[..., Config], dropout: float) -> None:
    config = small_config("vgg", block_dropout=dropout)
    model = build_model(config, (16, 16, 1), 3, seed=0, mean=[0.0], std=[1.0])
    names = [layer.name for layer in model.layers]
    after = names[names.index("block1_pool") + 1]
    assert after == ("block1_dropout" if dropout else "block2_conv1")
    if dropout:
        assert model.get_layer("block1_dropout").rate == dropout
