"""Backbones with their weights, frozen and unfrozen."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from spaces import SpaceError
from spaces.models.backbones import (
    RANDOM_WEIGHTS,
    Weights,
    build_backbone,
    find_backbone,
    preprocess,
    unfreeze_top,
)
from tests.tools.marks import rest_slow

SHAPE = (32, 32, 3)
# One for each way of scaling pixels: Rescaling, Normalization with its own weights, both with
# fixed values, Normalization with fixed values.
OWN_SCALING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mobilenet_v3_small": lambda x: x / 127.5 - 1,
    "efficientnet_b0": lambda x: x / 255 / np.sqrt([0.229, 0.224, 0.225]),
    "efficientnet_v2_b0": lambda x: keras.applications.densenet.preprocess_input(x.copy()),
    "convnext_tiny": lambda x: keras.applications.densenet.preprocess_input(x.copy()),
}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype("float32")


def trained_names(model: Any) -> list[str]:
    return list(
        dict.fromkeys(variable.path.split("/")[-2] for variable in model.trainable_weights)
    )


LARGER = ("nasnet_mobile", "convnext_tiny")


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v2", *(pytest.param(it, marks=pytest.mark.slow) for it in LARGER)],
)
def test_random_weights_are_the_same_each_time(name: str) -> None:
    keras.utils.set_random_seed(1)
    first = build_backbone(name, SHAPE, RANDOM_WEIGHTS).get_weights()
    keras.utils.set_random_seed(2)
    second = build_backbone(name, SHAPE, RANDOM_WEIGHTS).get_weights()
    for mine, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, again)


def test_every_layer_draws_its_own_random_weights() -> None:
    model = build_backbone("vgg16", SHAPE, RANDOM_WEIGHTS)
    first, second = (model.get_layer(f"block5_conv{number}").kernel for number in (1, 2))
    assert (first.numpy() != second.numpy()).any()


def test_real_weights_are_loaded_as_keras_loads_them(mobilenet_weights: Path) -> None:
    model = build_backbone("mobilenet_v2", SHAPE, Weights(str(mobilenet_weights), "torch"))
    expected = keras.applications.MobileNetV2(
        weights=str(mobilenet_weights), include_top=False, input_shape=SHAPE
    )
    for mine, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_backbone_starts_frozen() -> None:
    model = build_backbone("mobilenet_v2", SHAPE, RANDOM_WEIGHTS)
    assert model.trainable_weights == []


def test_unfreezing_begins_at_the_nth_last_layer_with_a_kernel() -> None:
    model = build_backbone("mobilenet_v2", SHAPE, RANDOM_WEIGHTS)
    unfreeze_top(model, 3)
    assert trained_names(model) == ["block_16_depthwise", "block_16_project", "Conv_1"]
    unfreeze_top(model, 1)
    assert trained_names(model) == ["Conv_1"]
    unfreeze_top(model, 0)
    assert trained_names(model) == []


def test_unfreezing_more_than_there_is_unfreezes_all_but_normalizations() -> None:
    model = build_backbone("efficientnet_b0", SHAPE, RANDOM_WEIGHTS)
    unfreeze_top(model, 1000)
    frozen = {
        type(layer).__name__ for layer in model.layers if layer.weights and not layer.trainable
    }
    assert frozen == {"BatchNormalization", "Normalization"}


def test_unfreezing_reaches_into_models_inside_the_backbone() -> None:
    model = build_backbone("convnext_tiny", SHAPE, RANDOM_WEIGHTS)
    unfreeze_top(model, 10)
    names = trained_names(model)
    assert names[0] == "convnext_tiny_downsampling_conv_2"
    assert "convnext_tiny_downsampling_layernorm_2" not in names
    assert "convnext_tiny_stage_3_block_0_layer_scale" in names
    assert len([name for name in names if re.search(r"_conv(_\d)?$", name)]) == 10


@pytest.mark.slow
def test_training_does_not_change_the_frozen_part_or_normalizations() -> None:
    backbone = build_backbone("mobilenet_v2", SHAPE, RANDOM_WEIGHTS)
    unfreeze_top(backbone, 2)
    inputs = keras.Input(SHAPE)
    features = backbone(inputs, training=False)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(features))
    optimizer = keras.optimizers.Adam(epsilon=1e-30)  # Random features and gradients are tiny.
    model.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    before = {v.path: v.numpy() for v in backbone.weights}
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(4, *SHAPE)), rng.normal(size=(4, 1280)))
    moved = {
        v.path.split("/")[-2] for v in backbone.weights if (v != before[v.path]).numpy().any()
    }
    assert moved == {"block_16_project", "Conv_1"}


@pytest.mark.parametrize("name", rest_slow(*OWN_SCALING))
def test_mode_of_a_file_replaces_the_networks_own_scaling(
    name: str, pixels: np.ndarray, tmp_path: Path
) -> None:
    path = str(tmp_path / "any.weights.h5")
    build_backbone(name, SHAPE, RANDOM_WEIGHTS).save_weights(path)
    expected = keras.applications.densenet.preprocess_input(pixels.copy())
    seen = seen_by_first_convolution(name, Weights(path, "torch"), pixels)
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    seen = seen_by_first_convolution(name, Weights(path), pixels)
    np.testing.assert_allclose(seen, OWN_SCALING[name](pixels), atol=1e-5, rtol=1e-5)


def seen_by_first_convolution(name: str, weights: Weights, pixels: np.ndarray) -> np.ndarray:
    """Return the input of the first convolution for raw pixels, after a save and reload."""
    inputs = keras.Input(SHAPE)
    scaled = preprocess(inputs, weights.mode_for(find_backbone(name)))
    backbone = build_backbone(name, SHAPE, weights)
    kinds = keras.layers.Rescaling | keras.layers.Normalization
    last = [layer for layer in backbone.layers if isinstance(layer, kinds)][-1]
    model = keras.Model(inputs, keras.Model(backbone.inputs[0], last.output)(scaled))
    reloaded = keras.Model.from_config(model.get_config())
    reloaded.set_weights(model.get_weights())
    for layer in reloaded.layers[-1].layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    mine, again = np.asarray(model(pixels)), np.asarray(reloaded(pixels))
    np.testing.assert_array_equal(mine, again)
    return mine


@pytest.mark.parametrize(
    ("source", "mode", "message"),
    [
        ("imagenet", "torch", "the weights of a file only"),
        ("none", "tf", "the weights of a file only"),
        ("a.weights.h5", "bgr", "torch, tf, caffe. Received: `bgr`"),
    ],
)
def test_invalid_modes_are_refused(source: str, mode: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Weights(source, mode)


def test_digest_does_not_depend_on_the_path(tmp_path: Path) -> None:
    for name, content in (("a.h5", b"one"), ("b.h5", b"one"), ("c.h5", b"two")):
        (tmp_path / name).write_bytes(content)
    first, second, other = (Weights(str(tmp_path / f"{n}.h5")).digest() for n in "abc")
    assert first == second != other
    assert len(first) == 64
    assert (Weights("imagenet").digest(), Weights("none").digest()) == ("imagenet", "none")


def test_too_small_images_are_refused_before_building() -> None:
    with pytest.raises(SpaceError, match="at least 75×75 pixels for inception_v3"):
        build_backbone("inception_v3", (74, 96, 3), RANDOM_WEIGHTS)
