"""Backbones and their layers, as `tests/tools/make_backbone_table.py` reads them from Keras."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from spaces.errors import SpaceError
from spaces.wording import did_you_mean

Mode = Literal["tf", "torch", "caffe", "none"]
Pair = tuple[int, int]

KERNEL_KINDS = ("conv", "depthwise", "separable", "dense")
"""Kinds of layers that can be unfrozen."""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """All that determines a layer's output shape, weights and operations for any input.

    `trainable` and `fixed` are weights per channel beside a kernel's. `amounts` are the rows and
    columns that a padding adds or a cropping removes: top, bottom, left, right.
    """

    kind: str
    channels: int = 0
    kernel: Pair = (1, 1)
    strides: Pair = (1, 1)
    same: bool = False
    groups: int = 1
    bias: bool = False
    activation: str = "linear"
    trainable: int = 0
    fixed: int = 0
    amounts: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a backbone, and the positions of the layers that are its inputs."""

    spec: LayerSpec
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Keras' own ImageNet weights; an `image_size` of None means all other sizes of images."""

    name: str
    url: str
    hash: str | None
    image_size: int | None


@dataclass(frozen=True, slots=True)
class Backbone:
    """A classification network of `keras.applications` without its top.

    `mode` is the scaling of pixels for Keras' own ImageNet weights, "none" if the network rescales
    them itself. `n_layers` counts the layers with kernels, which can be unfrozen.
    """

    name: str
    keras_name: str
    min_size: int
    mode: Mode
    n_layers: int
    imagenet: tuple[WeightsFile, ...]


def find_backbone(name: str) -> Backbone:
    """Return the backbone of a name; case, underscores and hyphens are ignored.

    Raises:
        SpaceError: If there is none; the message lists similar names, or else the known ones.
    """
    by_key = {_key(known): known for known in backbone_names()}
    if _key(name) not in by_key:
        near = did_you_mean(name.lower(), backbone_names(), n=3, cutoff=0.75)
        if near:
            raise SpaceError(f"There is no backbone `{name}`; {near}")
        known = ", ".join(backbone_names())
        raise SpaceError(f"Expected a known backbone: {known}. Received: `{name}`.")
    return _backbones()[by_key[_key(name)]]


def backbone_names() -> tuple[str, ...]:
    """Return the names of all backbones, sorted."""
    return tuple(_backbones())


@cache
def backbone_layers(name: str) -> tuple[Layer, ...]:
    """Return all layers of a backbone, each after its inputs, in the order of `model.layers`."""
    specs = _specs()
    layers = []
    for position, row in enumerate(_read()["backbones"][name]["layers"]):
        spec, *offsets = row if isinstance(row, list) else (row, *([1] if position else []))
        layers.append(Layer(specs[spec], tuple(position - offset for offset in offsets)))
    return tuple(layers)


@cache
def _read() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files(__package__) / "backbones.json").read_text("utf-8"))
    return table


@cache
def _specs() -> tuple[LayerSpec, ...]:
    return tuple(
        LayerSpec(**{key: _to_tuple(value) for key, value in spec.items()})
        for spec in _read()["specs"]
    )


@cache
def _backbones() -> dict[str, Backbone]:
    return {
        name: Backbone(
            name=name,
            keras_name=entry["keras_name"],
            min_size=entry["min_size"],
            mode=entry["mode"],
            n_layers=entry["n_layers"],
            imagenet=tuple(WeightsFile(*file) for file in entry["imagenet"]),
        )
        for name, entry in _read()["backbones"].items()
    }


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
