"""What a model file costs, found before Keras loads it.

A few bytes can name layers of gigabytes, and HDF5 can unpack a few megabytes to as many. The
network is built without values for its variables, which takes no memory.
"""

import json
import math
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import h5py
import keras
import tensorflow as tf

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MAX_MAP = 2**29
"""Numbers in a feature map of one image, 2 GiB: 32 times those of backbones at 512 pixels."""
MAX_OUTPUTS = 2**32
"""Numbers that all layers compute for one image: 5 times as many as the largest backbone."""
MAX_H5_OBJECTS = 50_000
"""The largest backbone has 6,000."""


class CostlyModelError(ValueError):
    """A model file unpacks to more than it holds, or its network is far larger."""


def check_model(path: str) -> int:
    """Return the numbers in the largest feature map of a model, for one image.

    Raises:
        CostlyModelError: If its weights or its feature maps need more memory than they should.
        ValueError, OSError: Or another error of Keras or h5py, if the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
        n_bytes = archive.getinfo(WEIGHTS).file_size
        with archive.open(WEIGHTS) as file:
            _check_arrays(file, n_bytes)
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        needed = sum(_n_bytes(variable) for variable in model.variables)
        sizes = [_output_size(layer) for layer in _layers(model)]
    finally:
        keras.backend.clear_session()  # It lists variables without values, to give them some.
    if needed > n_bytes:
        raise CostlyModelError(
            f"its layers need {needed:,} bytes of weights, and it has {n_bytes:,}"
        )
    for n, most, what in (
        (max(sizes), MAX_MAP, "numbers in a feature map"),
        (sum(sizes), MAX_OUTPUTS, "numbers for an image"),
    ):
        if n > most:
            raise CostlyModelError(f"its layers compute {n:,} {what}; expected at most {most:,}")
    return max(sizes)


def _check_arrays(file: IO[bytes], n_bytes: int) -> None:
    """Refuse arrays that are packed, missing or elsewhere: Keras writes plain ones.

    Links are not followed; Keras refuses them when it loads the model.
    """
    n_objects = unpacked = 0

    def visit(name: str, item: Any) -> None:
        nonlocal n_objects, unpacked
        n_objects += 1
        if n_objects > MAX_H5_OBJECTS:
            raise CostlyModelError(f"its weights have more than {MAX_H5_OBJECTS:,} parts")
        if isinstance(item, h5py.Dataset):
            unpacked += item.nbytes
            is_plain = item.dtype.kind != "O" and item.chunks is None and not item.external
            if not is_plain or item.nbytes != item.id.get_storage_size():
                raise CostlyModelError(
                    f"its weights {name} are not a plain, whole array of numbers"
                )

    with h5py.File(file, "r") as weights:
        weights.visititems(visit)
    if unpacked > n_bytes:
        raise CostlyModelError(f"its {n_bytes:,} bytes of weights unpack to {unpacked:,}")


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _n_bytes(variable: keras.Variable) -> int:
    n_values: int = math.prod(variable.shape)
    return n_values * int(tf.as_dtype(variable.dtype).size)


def _output_size(layer: keras.layers.Layer) -> int:
    """Return how many numbers a layer, which is called once, computes for one image."""
    n_values: int = math.prod(layer.output.shape[1:])
    return n_values
