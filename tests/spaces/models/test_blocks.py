"""Groups of layers: their layers, shapes and parameters."""

from collections.abc import Callable

import numpy as np
import pytest

from spaces import Config
from spaces.cost.cost_layers import CostLayers
from spaces.keras_models import build_model
from spaces.models.blocks import classify, conv_block, hidden_layer
from spaces.network_settings import Head

Draw = Callable[..., Config]


def layers_for(config: Config) -> CostLayers:
    return CostLayers(config.layers)


@pytest.mark.parametrize(
    ("normalized", "names", "parameters"),
    [
        (True, ["c", "c_norm", "c_activation"], (5 * 5 * 3 + 1) * 8 + 4 * 8),
        (False, ["c", "c_activation"], (5 * 5 * 3 + 1) * 8),
    ],
)
def test_convolution_is_normalized_if_the_settings_say_so(
    small_config: Draw, normalized: bool, names: list[str], parameters: int
) -> None:
    layers = layers_for(small_config(batch_normalization=normalized))
    assert conv_block((9, 7, 3), 8, 5, layers, name="c") == (9, 7, 8)
    assert [name for name, _ in layers.feature_maps] == names
    assert layers.parameters == parameters


@pytest.mark.parametrize(
    ("dropout", "names"),
    [(0.0, ["d", "d_activation"]), (0.3, ["d", "d_activation", "d_dropout"])],
)
def test_hidden_layer_has_dropout_only_at_a_positive_rate(
    small_config: Draw, dropout: float, names: list[str]
) -> None:
    layers = layers_for(small_config(dropout=dropout))
    assert hidden_layer((20,), 10, layers, name="d") == (10,)
    assert [name for name, _ in layers.feature_maps] == names
    assert layers.parameters == 21 * 10


@pytest.mark.parametrize(
    ("head", "inputs"),
    [(Head("flatten", (6, 5)), 4 * 4 * 8), (Head("global_average", (6, 5)), 8)],
    ids=lambda value: getattr(value, "pooling", None),
)
def test_head_pools_then_classifies(small_config: Draw, head: Head, inputs: int) -> None:
    layers = layers_for(small_config())
    assert classify((4, 4, 8), head, 3, layers) == (3,)
    assert layers.parameters == (inputs + 1) * 6 + 7 * 5 + 6 * 3


def test_keras_network_has_the_same_layers(small_config: Draw) -> None:
    for config in (
        small_config(batch_normalization=False, dropout=0.0),
        small_config(batch_normalization=True, dropout=0.3, stage2_pool=False),
    ):
        model = build_model(config, (16, 16, 1), 3, seed=0, mean=[0.0], std=[1.0])
        names = {layer.name for layer in model.layers}
        assert ("stage1_conv1_norm" in names) == config.layers.batch_normalization
        assert ("head_dropout" in names) == bool(config.layers.dropout)
        assert ("stage2_pool" in names) == (config.network.stages[1].pool_size is not None)


def test_activation_is_the_one_of_the_settings(small_config: Draw) -> None:
    model = build_model(
        small_config(activation="elu"), (16, 16, 1), 3, seed=0, mean=[0.0], std=[1.0]
    )
    activated = model.get_layer("stage1_conv1_activation")(np.array([-1.0, 2.0], "float32"))
    np.testing.assert_allclose(activated, [np.exp(-1) - 1, 2.0], rtol=1e-5)
