"""The residual block: both versions, with and without a bottleneck, and both kinds of shortcut."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces import SpaceError
from spaces.cost.cost_layers import CostLayers
from spaces.models.residual import ResidualNetwork, residual_block

Layers = Callable[..., CostLayers]

BASIC = (9 * 8 + 1) * 8 * 2
NARROW = (8 + 1) * 2 + (9 * 2 + 1) * 2 + (2 + 1) * 8
PROJECTED = (9 * 4 + 1) * 8 + (9 * 8 + 1) * 8 + (4 + 1) * 8


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("inputs", "options", "shape", "parameters"),
    [
        (8, {"channels": 8}, (9, 7, 8), BASIC),
        (8, {"channels": 2, "bottleneck": True}, (9, 7, 8), NARROW),
        (4, {"channels": 8}, (9, 7, 8), PROJECTED),
        (4, {"channels": 8, "strides": 2}, (5, 4, 8), PROJECTED),
        (8, {"channels": 8, "strides": 2}, (5, 4, 8), BASIC + (8 + 1) * 8),
        (
            8,
            {"channels": 3, "bottleneck": True, "strides": 2},
            (5, 4, 12),
            (8 + 1) * 3 + (9 * 3 + 1) * 3 + (3 + 1) * 12 + (8 + 1) * 12,
        ),
    ],
)
def test_shape_and_parameters_are_those_worked_by_hand(
    cost_layers: Layers,
    block_model: Callable[..., Any],
    version: Any,
    inputs: int,
    options: dict[str, Any],
    shape: tuple[int, int, int],
    parameters: int,
) -> None:
    def block(x: Any, layers: Any) -> Any:
        return residual_block(x, layers=layers, version=version, name="b", **options)

    layers = cost_layers()
    assert block((9, 7, inputs), layers) == shape
    assert layers.parameters == parameters
    model = block_model(block, (9, 7, inputs))
    assert model.output_shape == (None, *shape)
    assert model.count_params() == parameters


@pytest.mark.parametrize(("version", "normed"), [("v1", 3 * 8), ("v2", 4 + 8)])
def test_normalization_follows_each_convolution_or_precedes_it(
    cost_layers: Layers, version: Any, normed: int
) -> None:
    """Also the shortcut's in v1; in v2 its input is normalized for the first convolution."""
    layers = cost_layers(normalized=True)
    residual_block((9, 7, 4), 8, layers, version=version, strides=2, name="b")
    assert layers.parameters == PROJECTED + 4 * normed


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_block_with_zero_convolutions_is_the_identity(
    block_model: Callable[..., Any], version: Any, bottleneck: bool
) -> None:
    def block(x: Any, layers: Any) -> Any:
        return residual_block(x, 2, layers, version=version, bottleneck=bottleneck, name="b")

    model = block_model(block, (5, 5, 8 if bottleneck else 2))
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    expected = np.maximum(x, 0) if version == "v1" else x
    np.testing.assert_array_equal(model(x), expected)


@pytest.mark.parametrize(
    ("bottleneck", "dropped"), [(False, ["b_pre2_activation"]), (True, ["b_pre3_activation"])]
)
def test_dropout_is_before_the_last_convolution(
    cost_layers: Layers, bottleneck: bool, dropped: list[str]
) -> None:
    layers = cost_layers()
    residual_block((9, 7, 8), 2, layers, bottleneck=bottleneck, dropout=0.2, name="b")
    names = [name for name, _ in layers.feature_maps]
    place = names.index("b_dropout")
    assert names[place - 1 : place] == dropped
    assert names[place + 1] == ("b_conv3" if bottleneck else "b_conv2")


def test_first_version_has_dropout_between_its_convolutions(cost_layers: Layers) -> None:
    layers = cost_layers()
    residual_block((9, 7, 8), 8, layers, version="v1", dropout=0.2, name="b")
    assert [name for name, _ in layers.feature_maps] == [
        *("b_conv1", "b_conv1_activation", "b_dropout", "b_conv2", "b_add", "b_activation")
    ]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_network_halves_the_map_from_stage_to_stage(cost_layers: Layers, version: Any) -> None:
    network = ResidualNetwork(
        widths=(4, 8, 16), blocks=2, version=version, bottleneck=False, dropout=0.0
    )
    layers = cost_layers()
    assert network.build((29, 28, 1), layers) == (8, 7, 16)
    stem, equal = (9 + 1) * 4, [(9 * width + 1) * width for width in (4, 8, 16)]
    first = [(9 * narrow + 1) * 2 * narrow + (narrow + 1) * 2 * narrow for narrow in (4, 8)]
    assert layers.parameters == stem + 4 * equal[0] + 3 * equal[1] + 3 * equal[2] + sum(first)
    names = [name for name, _ in layers.feature_maps]
    assert ("stem_activation" in names) == (version == "v1")
    assert ("last_activation" in names) == (version == "v2")


TRAIN_AT_64_PIXELS = """
import keras
import numpy as np
from spaces.keras_models.layers import KerasLayers
from spaces.models.residual import residual_block
from spaces.network_settings import LayerSettings, Regularizer

x = keras.Input((64, 64, 8))
settings = LayerSettings("he_normal", "he_normal", "relu", False, 0.0, Regularizer())
y = residual_block(x, 16, KerasLayers(settings, seed=0), version="VERSION", strides=2, name="b")
model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(y))
model.compile("sgd", "mse")
data = np.ones((16, 64, 64, 8), "float32")
for _ in range(10):
    model.train_on_batch(data, np.zeros((16, 16), "float32"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_narrow_block_trains_on_large_maps(version: str) -> None:
    """With a strided 1×1 convolution, oneDNN corrupts the heap on processors with AVX-512."""
    script = TRAIN_AT_64_PIXELS.replace("VERSION", version)
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("side", [5, 6])
def test_shortcut_is_a_strided_convolution(block_model: Callable[..., Any], side: int) -> None:
    import keras

    def block(x: Any, layers: Any) -> Any:
        return residual_block(x, 3, layers, version="v2", strides=2, name="b")

    model = block_model(block, (side, side, 2))
    for layer in model.layers:
        if layer.name in ("b_conv1", "b_conv2"):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    shortcut = keras.layers.Conv2D(3, 1, strides=2, padding="same")
    x = np.random.default_rng(0).uniform(size=(2, side, side, 2)).astype("float32")
    shortcut.build(x.shape)
    shortcut.set_weights(model.get_layer("b_shortcut").get_weights())
    np.testing.assert_allclose(model(x), shortcut(x), rtol=1e-5, atol=1e-6)


def test_stride_on_a_map_of_one_pixel_is_refused(
    cost_layers: Layers, block_model: Callable[..., Any]
) -> None:
    def block(x: Any, layers: Any) -> Any:
        return residual_block(x, 4, layers, strides=2, name="b")

    for build in (lambda: block((1, 5, 4), cost_layers()), lambda: block_model(block, (1, 5, 4))):
        with pytest.raises(SpaceError, match="`b_conv1` reduces a 1×5 map by 2"):
            build()
