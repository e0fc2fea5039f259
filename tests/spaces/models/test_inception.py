"""The inception block: its branches, shapes and parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces import Config, SpaceError
from spaces.cost.cost_layers import CostLayers
from spaces.keras_models import build_model
from spaces.models.inception import InceptionNetwork, InceptionWidths, inception_block

WIDTHS = InceptionWidths(conv1x1=2, reduce3x3=3, conv3x3=4, reduce5x5=5, conv5x5=6, pool=7)
N_PARAMETERS = (
    (10 + 1) * 2 + (10 + 1) * 3 + (9 * 3 + 1) * 4 + (10 + 1) * 5 + (25 * 5 + 1) * 6 + (10 + 1) * 7
)  # 1×1; reduced and 3×3; reduced and 5×5; pooled, then 1×1.


def block(x: Any, layers: Any) -> Any:
    return inception_block(x, WIDTHS, layers, name="b")


@pytest.mark.parametrize("normalized", [False, True])
def test_block_keeps_the_size_and_adds_up_the_widths(
    cost_layers: Callable[..., CostLayers], normalized: bool
) -> None:
    layers = cost_layers(normalized=normalized)
    assert block((9, 8, 10), layers) == (9, 8, 2 + 4 + 6 + 7)
    norms = 4 * (2 + 3 + 4 + 5 + 6 + 7) if normalized else 0
    assert layers.parameters == N_PARAMETERS + norms
    assert layers.channels((9, 8, 10)) == 10


def test_keras_block_has_the_same_shape_and_count(block_model: Callable[..., Any]) -> None:
    model = block_model(block, (9, 8, 10))
    assert model.output_shape == (None, 9, 8, 19)
    assert model.count_params() == N_PARAMETERS


def test_branches_lie_side_by_side(block_model: Callable[..., Any]) -> None:
    """With zero kernels, the output of each branch is its last bias."""
    model = block_model(block, (5, 5, 10))
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
            layer.bias.assign(np.zeros(layer.bias.shape))
    last = {"b_conv1x1": 1, "b_conv3x3": 2, "b_conv5x5": 3, "b_pooled": 4}
    for name, value in last.items():
        model.get_layer(name).bias.assign(np.full(model.get_layer(name).bias.shape, value))
    out = np.asarray(model(np.ones((1, 5, 5, 10), "float32")))
    np.testing.assert_array_equal(out[0, 2, 2], [1] * 2 + [2] * 4 + [3] * 6 + [4] * 7)


def test_network_pools_between_stages(cost_layers: Callable[..., CostLayers]) -> None:
    layers = cost_layers()
    network = InceptionNetwork(stem=8, stages=(WIDTHS, WIDTHS, WIDTHS), blocks=2, dropout=0.1)
    assert network.build((29, 28, 1), layers) == (8, 7, 19)
    maps = dict(layers.feature_maps)
    assert maps["stem"] == (29, 28, 8)
    assert maps["reduction1"] == (15, 14, 19)
    assert maps["stage3_block2_dropout"] == (8, 7, 19)


def test_reduction_of_a_map_that_cannot_be_halved_is_refused(
    cost_layers: Callable[..., CostLayers], block_model: Callable[..., Any]
) -> None:
    network = InceptionNetwork(stem=8, stages=(WIDTHS, WIDTHS), blocks=1, dropout=0.0)
    with pytest.raises(SpaceError, match="`reduction1` reduces a 1×5 map by 2"):
        network.build((1, 5, 1), cost_layers())
    with pytest.raises(SpaceError, match="`reduction1` reduces a 1×5 map by 2"):
        block_model(network.build, (1, 5, 1))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_dropout_follows_the_concatenation(
    small_config: Callable[..., Config], dropout: float
) -> None:
    config = small_config("inception", block_dropout=dropout)
    model = build_model(config, (16, 16, 1), 3, seed=0, mean=[0.0], std=[1.0])
    names = [layer.name for layer in model.layers]
    after = names[names.index("stage1_block1_concat") + 1]
    assert after == ("stage1_block1_dropout" if dropout else "reduction1")
