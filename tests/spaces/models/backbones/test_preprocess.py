"""Pixels scaled inside the model, against Keras' own scaling."""

import keras
import numpy as np
import pytest

from spaces.models.backbones import BACKBONES, Mode, find_backbone, preprocess

OWN_MODULES = {
    "tf": keras.applications.mobilenet_v2,
    "torch": keras.applications.densenet,
    "caffe": keras.applications.resnet,
    "none": keras.applications.efficientnet_v2,
}


def run(pixels: np.ndarray, mode: Mode) -> np.ndarray:
    inputs = keras.Input(pixels.shape[1:])
    model = keras.Model(inputs, preprocess(inputs, mode))
    return np.asarray(model(pixels))


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("float32")


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe", "none"])
def test_colours_are_scaled_as_keras_scales_them(mode: Mode, colours: np.ndarray) -> None:
    expected = OWN_MODULES[mode].preprocess_input(colours.copy())
    np.testing.assert_allclose(run(colours, mode), expected, atol=2e-5, rtol=1e-6)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe", "none"])
def test_grey_is_scaled_as_keras_scales_three_equal_channels(
    mode: Mode, colours: np.ndarray
) -> None:
    grey = colours[..., :1]
    expected = OWN_MODULES[mode].preprocess_input(np.repeat(grey, 3, axis=-1))
    np.testing.assert_allclose(run(grey, mode), expected, atol=2e-5, rtol=1e-6)


@pytest.mark.parametrize("name", BACKBONES)
def test_mode_of_every_backbone_is_that_of_its_keras_module(
    name: str, colours: np.ndarray
) -> None:
    backbone = find_backbone(name)
    function = getattr(keras.applications, backbone.keras_name)
    module = getattr(keras.applications, function.__module__.rsplit(".", 1)[-1])
    expected = module.preprocess_input(colours.copy())
    np.testing.assert_allclose(run(colours, backbone.mode), expected, atol=2e-5, rtol=1e-6)
