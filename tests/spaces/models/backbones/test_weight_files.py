"""Weights from files: valid, broken, unsafe, or of another network."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from spaces import SpaceError
from spaces.models.backbones import RANDOM_WEIGHTS, Weights, build_backbone
from spaces.models.backbones.weight_files import load_weights
from tests.tools.marks import rest_slow

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small backbone, in a file."""
    path = tmp_path_factory.mktemp("weights") / "original.weights.h5"
    build_backbone("mobilenet_v3_small", SHAPE, RANDOM_WEIGHTS).save_weights(path)
    return path


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    """A copy of that file, to change."""
    return Path(shutil.copy(original, tmp_path / "saved.weights.h5"))


def build(path: Path, name: str = "mobilenet_v3_small") -> Any:
    return build_backbone(name, SHAPE, Weights(str(path)))


def refused(path: Path, message: str, name: str = "mobilenet_v3_small") -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        build(path, name)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    "name", rest_slow("MobileNetV3Small", "ConvNeXtTiny", "EfficientNetB0", "NASNetMobile")
)
def test_both_formats_of_keras_are_read(name: str, tmp_path: Path) -> None:
    function = getattr(keras.applications, name)
    original = function(weights=None, include_top=False, input_shape=SHAPE)
    rng = np.random.default_rng(0)
    original.set_weights(
        [rng.uniform(1, 2, w.shape).astype(w.dtype) for w in original.get_weights()]
    )
    original.save_weights(tmp_path / "any.weights.h5")
    original.save(tmp_path / "any.h5")
    fresh = function(weights=None, include_top=False, input_shape=SHAPE)
    for path in tmp_path.iterdir():
        fresh.set_weights([np.zeros_like(it) for it in fresh.get_weights()])
        load_weights(fresh, path)
        for mine, theirs in zip(fresh.get_weights(), original.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_weights_with_a_top_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "top.weights.h5"
    original = keras.applications.MobileNet(weights=None, input_shape=SHAPE, classes=7)
    original.save_weights(path)
    model = build(path, "mobilenet")
    for mine, theirs in zip(model.get_weights(), original.get_weights(), strict=False):
        np.testing.assert_array_equal(mine, theirs)


def test_first_layer_that_differs_is_named_with_both_shapes(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        for number in (3, 2):
            variables = file[f"layers/conv2d_{number}/vars"]
            del variables["0"]
            variables["0"] = np.zeros((1, 1, 5, number), "float32")
    message = (
        r"fit mobilenet_v3_small: its layer `expanded_conv_squeeze_excite_conv_1` has weights of "
        r"shape \(1, 1, 8, 16\).\nReceived: weights of shape \(1, 1, 5, 2\)"
    )
    refused(saved, message)


def test_missing_layer_is_named(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        del file["layers/conv2d"]
    refused(saved, "`conv` has weights of shape .*\nReceived: no more weights for this layer")


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    refused(
        saved, r"fit vgg16: its layer `block1_conv1` has weights of shape \(3, 3, 3, 64\)", "vgg16"
    )


def test_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.weights.h5", "whole file of Keras weights.*No such file")


def test_digest_of_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"none\.h5\. Received: No such file"):
        Weights(str(tmp_path / "none.h5")).digest()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_truncated_file_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    refused(saved, "Expected a whole file of Keras weights")


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.h5"
    path.write_text("not weights\n" * 1000)
    refused(path, "Expected a whole file of Keras weights")


def test_hdf5_file_without_layers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2, 3]
    refused(path, "neither layers nor their names")


@pytest.mark.parametrize("kind", ["soft", "external", "virtual", "raw", "text"])
def test_external_and_non_numeric_data_are_refused(saved: Path, tmp_path: Path, kind: str) -> None:
    shape = (3, 3, 3, 16)
    elsewhere = tmp_path / "elsewhere.h5"
    with h5py.File(elsewhere, "w") as file:
        file["secret"] = np.ones(shape, "float32")
    with h5py.File(saved, "r+") as file:
        variables = file["layers/conv2d/vars"]
        del variables["0"]
        if kind == "soft":
            variables["0"] = h5py.SoftLink("/layers/conv2d_1/vars/0")
        elif kind == "external":
            variables["0"] = h5py.ExternalLink(str(elsewhere), "secret")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "float32")
            layout[...] = h5py.VirtualSource(str(elsewhere), "secret", shape)
            variables.create_virtual_dataset("0", layout)
        elif kind == "raw":
            storage = [(str(tmp_path / "raw.bin"), 0, 4 * 432)]
            variables.create_dataset("0", shape, "float32", external=storage)
        else:
            variables["0"] = np.full(shape, b"x")
    refused(saved, "Expected a whole file of Keras weights")


def test_huge_array_is_refused_without_being_read(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        variables = file["layers/conv2d/vars"]
        del variables["0"]
        variables.create_dataset("0", (10**6, 10**6), "float32", chunks=(1000, 1000))
    refused(saved, r"Received: weights of shape \(1000000, 1000000\)")
