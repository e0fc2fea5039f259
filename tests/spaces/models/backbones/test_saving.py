"""Models with a backbone load in bare Keras, in safe mode and without this project."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from search.exported_models.allowed_layers import find_unknown_class
from spaces.models.backbones import (
    RANDOM_WEIGHTS,
    Weights,
    build_backbone,
    find_backbone,
    preprocess,
    unfreeze_top,
)
from tests.spaces.models.backbones.conftest import smallest_of_each_architecture

LOAD = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import keras, numpy as np
for name in ("spaces", "search"):
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(f"{name} can be imported")
for folder in sys.argv[1:]:
    model = keras.models.load_model(f"{folder}/model.keras", safe_mode=True)
    pixels = np.load(f"{folder}/pixels.npy")
    np.save(f"{folder}/predicted.npy", model.predict_on_batch(pixels))
"""


def save_extractor(name: str, weights: Weights, n_channels: int, folder: Path) -> np.ndarray:
    """Save a network from raw pixels to features with its pixels, and return its predictions."""
    backbone = find_backbone(name)
    side = backbone.min_size
    inputs = keras.Input((side, side, n_channels))
    scaled = preprocess(inputs, weights.mode_for(backbone))
    network = build_backbone(name, (side, side, 3), weights)
    unfreeze_top(network, 3)
    features = network(scaled, training=False)
    model: Any = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(features))
    shape = (2, side, side, n_channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    folder.mkdir()
    model.save(folder / "model.keras")
    np.save(folder / "pixels.npy", pixels)
    return np.asarray(model.predict_on_batch(pixels))


def load_in_bare_keras(folders: list[Path], elsewhere: Path) -> list[np.ndarray]:
    """Return the predictions of the models in a process with Keras only."""
    elsewhere.mkdir()
    command = [sys.executable, "-P", "-c", LOAD, *map(str, folders)]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [np.load(folder / "predicted.npy") for folder in folders]


def assert_equal_features(mine: np.ndarray, theirs: np.ndarray, case: object) -> None:
    """Compare relative to the largest feature, since random networks have tiny ones."""
    largest = np.abs(mine).max()
    assert largest > 0, case
    np.testing.assert_allclose(theirs / largest, mine / largest, atol=1e-5, err_msg=str(case))


@pytest.mark.slow
def test_every_mode_loads_in_bare_keras_with_equal_predictions(tmp_path: Path) -> None:
    path = tmp_path / "any.weights.h5"
    build_backbone("mobilenet", (32, 32, 3), RANDOM_WEIGHTS).save_weights(path)
    own = tmp_path / "own.weights.h5"
    build_backbone("efficientnet_b0", (32, 32, 3), RANDOM_WEIGHTS).save_weights(own)
    convnext = tmp_path / "convnext.weights.h5"
    build_backbone("convnext_tiny", (32, 32, 3), RANDOM_WEIGHTS).save_weights(convnext)
    cases = [
        ("mobilenet", Weights(str(path), "torch"), 1),
        ("mobilenet", Weights(str(path), "tf"), 3),
        ("mobilenet", Weights(str(path), "caffe"), 1),
        ("mobilenet", Weights(str(path), "caffe"), 3),
        ("efficientnet_b0", Weights(str(own)), 1),
        ("efficientnet_b0", Weights(str(own), "torch"), 3),
        ("convnext_tiny", Weights(str(convnext), "torch"), 3),
        ("mobilenet_v3_small", RANDOM_WEIGHTS, 3),
    ]
    folders = [tmp_path / str(number) for number in range(len(cases))]
    expected = [save_extractor(*case, f) for case, f in zip(cases, folders, strict=True)]
    loaded = load_in_bare_keras(folders, tmp_path / "elsewhere")
    for case, mine, theirs in zip(cases, expected, loaded, strict=True):
        assert_equal_features(mine, theirs, case)


@pytest.mark.slow
@pytest.mark.parametrize("name", smallest_of_each_architecture())
def test_every_architecture_loads_in_safe_mode_with_equal_predictions(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    expected = save_extractor(name, RANDOM_WEIGHTS, 1, folder)
    with zipfile.ZipFile(folder / "model.keras") as archive:
        assert find_unknown_class(archive.read("config.json")) is None
    loaded = keras.models.load_model(folder / "model.keras", safe_mode=True)
    predicted = loaded.predict_on_batch(np.load(folder / "pixels.npy"))
    assert_equal_features(expected, np.asarray(predicted), name)
    keras.backend.clear_session()
