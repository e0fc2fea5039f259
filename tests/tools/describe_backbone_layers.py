"""Describe Keras models as rows of the table of backbones: layer specs and input positions."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from spaces.models.backbones.catalog import KERNEL_KINDS, Layer, LayerSpec

_KINDS = {
    "InputLayer": "input",
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "Dense": "dense",
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "LayerScale": "layer_scale",
    "CustomScaleLayer": "scaled_add",
    "Normalization": "normalization",
    "Rescaling": "rescaling",
    "Activation": "activation",
    "ReLU": "activation",
    "MaxPooling2D": "max_pool",
    "AveragePooling2D": "average_pool",
    "GlobalAveragePooling2D": "global_average",
    "Reshape": "reshape",
    "Dropout": "dropout",
    "Add": "add",
    "Multiply": "multiply",
    "Concatenate": "concatenate",
    "ZeroPadding2D": "pad",
    "Cropping2D": "crop",
}


def describe_layers(models: Sequence[Any]) -> list[Layer]:
    """Return the layers of a network, built at several sizes to tell fixed paddings from others.

    Raises:
        ValueError: If there is a layer of an unknown kind.
    """
    first = list(leaf_operations(models[0]))
    sources = _sources(models[0])
    positions = {id(operation): position for position, operation in enumerate(first)}
    layers = []
    for variants in zip(*(leaf_operations(model) for model in models), strict=True):
        inputs = tuple(positions[id(source)] for source in sources[id(variants[0])])
        layers.append(Layer(describe_layer(variants), inputs))
    return layers


def leaf_operations(model: Any) -> Iterator[Any]:
    """Return layers and bare operations in the order of `model.layers`, inner models expanded."""
    for operation in model.layers if isinstance(model, keras.Sequential) else model.operations:
        if isinstance(operation, keras.Model):
            yield from leaf_operations(operation)
        else:
            yield operation


def describe_layer(variants: Sequence[Any]) -> LayerSpec:
    """Return the spec of a layer, given the layer at each image size."""
    layer = variants[0]
    kind = _KINDS.get(type(layer).__name__)
    if kind is None:
        raise ValueError(f"Expected a known layer. Received: {type(layer).__name__}.")
    if kind == "pad":
        return _describe_padding(variants)
    if kind == "crop":
        return LayerSpec(kind, amounts=_flatten_pairs(layer.cropping))
    if not isinstance(layer, keras.Layer):  # Written as an operator in Keras' code.
        return LayerSpec(kind)
    return LayerSpec(
        kind,
        channels=_channels(layer, kind),
        kernel=tuple(getattr(layer, "kernel_size", getattr(layer, "pool_size", (1, 1)))),
        strides=tuple(getattr(layer, "strides", (1, 1))),
        same=getattr(layer, "padding", "valid") == "same",
        groups=getattr(layer, "groups", 1),
        bias=bool(getattr(layer, "use_bias", False)),
        activation=_activation(layer, kind),
        trainable=_n_vectors(layer, kind, trainable=True),
        fixed=_n_vectors(layer, kind, trainable=False),
    )


def _describe_padding(variants: Sequence[Any]) -> LayerSpec:
    """Describe a fixed padding, or Keras' `correct_pad`, which pads less before even sides."""
    sides = [layer.input.shape[1] for layer in variants]
    paddings = [_flatten_pairs(layer.padding) for layer in variants]
    half = paddings[0][1]
    if len({side % 2 for side in sides}) < 2:
        raise ValueError(f"Expected odd and even sides. Received: {variants[0].name} on {sides}.")
    if len(set(paddings)) == 1:
        return LayerSpec("pad", amounts=paddings[0])
    if paddings == [(half - 1 + side % 2, half) * 2 for side in sides]:
        return LayerSpec("correct_pad", kernel=(2 * half + 1, 2 * half + 1))
    raise ValueError(f"Expected one of Keras' paddings. Received: {paddings} on {sides}.")


def _channels(layer: Any, kind: str) -> int:
    match kind:
        case "conv" | "separable":
            return int(layer.filters)
        case "dense":
            return int(layer.units)
        case "depthwise":
            return int(layer.depth_multiplier)
    return 0


def _activation(layer: Any, kind: str) -> str:
    if type(layer).__name__ == "ReLU":
        return "relu6" if layer.max_value else "relu"
    activation = getattr(layer, "activation", None)
    return str(activation.__name__) if activation else "linear"


def _n_vectors(layer: Any, kind: str, *, trainable: bool) -> int:
    """Return how many vectors, with a weight per channel, a layer without a kernel has."""
    if kind in KERNEL_KINDS:
        return 0
    return sum(len(v.shape) == 1 and v.trainable == trainable for v in layer.weights)


def _sources(model: Any) -> dict[int, list[Any]]:
    """Map the id of each leaf operation to the leaf operations that its inputs come from."""
    found: dict[int, list[Any]] = {}
    for operation in model.operations:
        inputs = [_producer(tensor) for tensor in _input_tensors(operation)]
        if not isinstance(operation, keras.Sequential):
            found[id(operation)] = inputs
            continue
        for layer in operation.layers:
            found[id(layer)] = inputs
            inputs = [layer]
    return found


def _input_tensors(operation: Any) -> list[Any]:
    inbound = operation._inbound_nodes
    if len(inbound) != 1:
        raise ValueError(f"Expected {operation.name} to be called once, not {len(inbound)} times.")
    return list(inbound[0].input_tensors)


def _producer(tensor: Any) -> Any:
    producer = tensor._keras_history.operation
    return producer.layers[-1] if isinstance(producer, keras.Sequential) else producer


def _flatten_pairs(pairs: Any) -> tuple[int, int, int, int]:
    (top, bottom), (left, right) = pairs
    return top, bottom, left, right
