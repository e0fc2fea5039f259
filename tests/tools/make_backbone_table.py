"""Write `spaces/models/backbones/backbones.json` from the networks of the installed Keras.

    python -m tests.tools.make_backbone_table

It builds each network at up to five sizes, prints a line for each, and takes some minutes.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np

from spaces.models import backbones
from spaces.models.backbones.catalog import KERNEL_KINDS, LayerSpec, Mode
from tests.tools.describe_backbone_layers import describe_layers

TABLE = Path(backbones.__file__).with_name("backbones.json")
SIZES = (224, 225, 232, 240, 171)
"""Image sizes at which every padding that depends on the map sees even and odd ones."""
WEIGHT_SIZES = (128, 96, 160, 192)
"""Image sizes that a few networks have ImageNet weights of their own for, 128 all of these."""

_SINGLE_WORDS = (
    "ConvNeXt",
    "EfficientNet",
    "MobileNet",
    "DenseNet",
    "NASNet",
    "ResNet",
    "VGG",
    "XLarge",
)
_DEFAULTS = {field.name: field.default for field in fields(LayerSpec)}


class _FileRequestedError(Exception):
    """Raised in place of a download; carries the arguments that Keras passed to `get_file`."""


def main() -> None:
    """Write the table, and print a line for each backbone."""
    specs: dict[str, int] = {}
    entries = {}
    for name, function in sorted(network_functions().items()):
        entries[name] = describe_backbone(function, specs)
        keras.backend.clear_session()
        print(f"{name}: {len(entries[name]['layers'])} layers", flush=True)
    TABLE.write_text(format_table(entries, list(specs)), "utf-8")


def network_functions() -> dict[str, Callable[..., keras.Model]]:
    """Return the functions of `keras.applications` that build networks, by our names."""
    found = vars(keras.applications).items()
    return {snake_case(name): f for name, f in found if name[0].isupper() and callable(f)}


def snake_case(keras_name: str) -> str:
    """Return a name in snake case: `EfficientNetV2B0` becomes `efficientnet_v2_b0`."""
    for word in _SINGLE_WORDS:
        keras_name = keras_name.replace(word, word.capitalize())
    return re.sub(r"(?<!^)(?=[A-Z])", "_", keras_name).lower()


def describe_backbone(
    function: Callable[..., keras.Model], specs: dict[str, int]
) -> dict[str, Any]:
    """Return a backbone's entry in the table, and add new specs to `specs`."""
    layers = describe_layers(build_variants(function))
    rows: list[int | list[int]] = []
    for position, layer in enumerate(layers):
        number = specs.setdefault(_format_spec(layer.spec), len(specs))
        offsets = [position - source for source in layer.inputs]
        rows.append(number if offsets == [1] or not position else [number, *offsets])
    return {
        **describe_metadata(function),
        "n_layers": sum(layer.spec.kind in KERNEL_KINDS for layer in layers),
        "layers": rows,
    }


def describe_metadata(function: Callable[..., keras.Model]) -> dict[str, Any]:
    """Return what a backbone's entry holds besides its layers."""
    return {
        "keras_name": function.__name__,
        "min_size": smallest_size(function),
        "mode": preprocessing_mode(function),
        "imagenet": imagenet_files(function),
    }


def build_variants(function: Callable[..., keras.Model]) -> list[keras.Model]:
    """Build a network at the first size, and at the others if it has paddings."""
    models = []
    for size in SIZES:
        models.append(function(weights=None, include_top=False, input_shape=(size, size, 3)))
        if not any(isinstance(layer, keras.layers.ZeroPadding2D) for layer in models[0].layers):
            break
    return models


def smallest_size(function: Callable[..., keras.Model]) -> int:
    """Return the smallest image side that Keras accepts for the network."""
    try:
        function(weights=None, include_top=False, input_shape=(1, 1, 3))
    except ValueError as error:
        return int(re.findall(r"at least (\d+)x", str(error))[0])
    return 1


def preprocessing_mode(function: Callable[..., keras.Model]) -> Mode:
    """Return how pixels are scaled for Keras' own weights of the network."""
    module = function.__module__.rsplit(".", 1)[-1]
    preprocess = getattr(keras.applications, module).preprocess_input
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 2, 2, 3))
    modes: Sequence[Mode] = ("tf", "torch", "caffe")
    for mode in modes:
        scaled = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
        if np.allclose(preprocess(pixels.copy()), scaled):
            return mode
    return "none"


def imagenet_files(function: Callable[..., keras.Model]) -> list[list[str | int | None]]:
    """Return name, URL, hash and image size of Keras' own weights; no size means all others."""
    default = requested_file(function, 224)
    if "224" not in str(default[0]):  # The file of this size is that of all sizes.
        return [[*default, None]]
    if requested_file(function, WEIGHT_SIZES[0]) == default:
        return [[*default, None]]
    others = [[*requested_file(function, size), size] for size in WEIGHT_SIZES]
    return [*(other for other in others if other[:3] != default), [*default, None]]


def requested_file(function: Callable[..., keras.Model], size: int) -> list[str | int | None]:
    """Return name, URL and hash of the weights that Keras requests for images of a size."""

    def intercept(name: str, origin: str, file_hash: str | None = None, **_: object) -> None:
        raise _FileRequestedError(name, origin, file_hash)

    # In that scope no weights are made.
    with (
        mock.patch("keras.src.utils.file_utils.get_file", intercept),
        keras.StatelessScope(initialize_variables=False),
    ):
        try:
            function(weights="imagenet", include_top=False, input_shape=(size, size, 3))
        except _FileRequestedError as asked:
            return list(asked.args)
    raise ValueError(f"Keras has no weights for {function.__name__}.")


def format_table(entries: dict[str, dict[str, Any]], specs: list[str]) -> str:
    """Return the table as JSON with one spec or backbone per line, for readable diffs."""
    lines = ",\n".join(f"{_compact(name)}:{_compact(b)}" for name, b in entries.items())
    version = _compact(keras.__version__)
    specs_text = ",\n".join(specs)
    return f'{{"keras":{version},\n"specs":[\n{specs_text}\n],\n"backbones":{{\n{lines}\n}}}}\n'


def _format_spec(spec: LayerSpec) -> str:
    return _compact({k: v for k, v in asdict(spec).items() if v != _DEFAULTS[k]})


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
