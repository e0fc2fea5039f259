"""Model files that cost far more than they hold are refused before Keras loads them."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from search.trainer.protocol import Predict
from search.training.model_check import CostlyModelError, check_model
from search.training.predict import predict


def build() -> keras.Model:
    images = x = keras.Input((8, 8, 1))
    for layer in (
        keras.layers.ZeroPadding2D(1),
        keras.layers.Conv2D(4, 3, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.1),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ):
        x = layer(x)
    return keras.Model(images, x)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("model") / "whole.keras"
    build().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(autouse=True)
def _unloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    yield
    keras.backend.clear_session()


def write(path: Path, parts: dict[str, bytes], **changes: Any) -> str:
    """Write a model file; `config` changes its layers, by class, and `weights` its HDF5 file."""
    config = json.loads(parts["config.json"])
    for layer in config["config"]["layers"]:
        layer["config"].update(changes.get(layer["class_name"], {}))
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        changes.get("weights", lambda _: None)(file)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return str(path)


def replace_kernel(**options: Any) -> Callable[[h5py.File], None]:
    def replace(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", **options)

    return replace


def test_whole_model_passes(tmp_path: Path, parts: dict[str, bytes]) -> None:
    path = write(tmp_path / "a.keras", parts)
    assert check_model(path) == 8 * 8 * 4


def test_unused_variables_get_no_values_later(tmp_path: Path, parts: dict[str, bytes]) -> None:
    check_model(write(tmp_path / "a.keras", parts))
    with keras.StatelessScope():
        pass  # It gives values to all variables that have none.
    assert build()(np.zeros((1, 8, 8, 1))).shape == (1, 3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"Dense": {"units": 10**9}}, "bytes of weights, and it has"),
        ({"ZeroPadding2D": {"padding": [[10**5, 0], [10**5, 0]]}}, "numbers in a feature map"),
        ({"ZeroPadding2D": {"padding": [[4000, 0], [4000, 0]]}}, "numbers for an image"),
    ],
)
def test_enormous_layers_are_refused(
    tmp_path: Path,
    parts: dict[str, bytes],
    layer: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(tmp_path / "a.keras", parts, **layer)
    monkeypatch.setattr("search.training.model_check.MAX_OUTPUTS", 2**27)
    with pytest.raises(CostlyModelError, match=message):
        check_model(path)


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (3000, 3000), "dtype": "f4", "chunks": (300, 3000), "compression": "gzip"},
        {"shape": (3000, 3000), "dtype": "f4", "chunks": (300, 3000)},
        {"shape": (3000, 3000), "dtype": "f4"},
        {"data": ["text"], "dtype": h5py.string_dtype()},
    ],
    ids=["packed", "chunks", "unwritten", "text"],
)
def test_weights_that_unpack_to_more_are_refused(
    tmp_path: Path, parts: dict[str, bytes], options: dict[str, Any]
) -> None:
    path = write(tmp_path / "a.keras", parts, weights=replace_kernel(**options))
    with pytest.raises(CostlyModelError, match="layers/dense/vars/0 are not a plain, whole array"):
        check_model(path)


def test_layers_that_share_an_array_are_refused(tmp_path: Path, parts: dict[str, bytes]) -> None:
    def share(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = file["layers/batch_normalization/vars/0"]

    path = write(tmp_path / "a.keras", parts, Dense={"units": 10**4}, weights=share)
    with pytest.raises(CostlyModelError, match="its layers need"):
        check_model(path)


def test_weights_of_too_many_parts_are_refused(
    tmp_path: Path, parts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.training.model_check.MAX_H5_OBJECTS", 5)
    with pytest.raises(CostlyModelError, match="more than 5 parts"):
        check_model(write(tmp_path / "a.keras", parts))


def test_costly_model_is_not_loaded_to_predict(tmp_path: Path, parts: dict[str, bytes]) -> None:
    path = write(tmp_path / "a.keras", parts, Dense={"units": 10**9})
    save_file({"images": np.zeros((1, 8, 8, 1), np.uint8)}, tmp_path / "images")
    with pytest.raises(CostlyModelError):
        predict(Predict(path, str(tmp_path / "images"), ""), lambda *_: None)
