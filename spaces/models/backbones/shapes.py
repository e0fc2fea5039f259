"""Shapes, weights and operations of the layers of backbones, from their specs alone.

A shape is (height, width, channels); a vector has height and width 1. Operations are counted for
one image as by TensorFlow's profiler: a multiply-add is 2.
"""

from collections.abc import Sequence
from math import prod

from spaces.models.backbones.catalog import LayerSpec, Pair

Shape = tuple[int, int, int]

# Per value: gelu is x/2 * erfc(-x/√2), silu x * σ(x); layer normalization computes two moments.
ACTIVATION_OPERATIONS = {"linear": 0, "gelu": 4, "silu": 2}
NORM_OPERATIONS = {"batch_norm": 2, "layer_norm": 6, "normalization": 2, "rescaling": 2}


def output_shape(spec: LayerSpec, inputs: Sequence[Shape]) -> Shape:
    """Return the output shape of a layer."""
    height, width, channels = inputs[0]
    match spec.kind:
        case "conv" | "separable" | "depthwise" | "max_pool" | "average_pool":
            height, width = _windows(spec, (height, width))
        case "global_average":
            height, width = 1, 1
        case "concatenate":
            return height, width, sum(shape[2] for shape in inputs)
        case "pad" | "correct_pad":
            top, bottom, left, right = _amounts(spec, (height, width))
            height, width = height + top + bottom, width + left + right
        case "crop":
            top, bottom, left, right = spec.amounts
            height, width = height - top - bottom, width - left - right
        case "add" | "multiply":
            return max(inputs, key=prod)
    return height, width, _channels(spec, channels)


def parameters(spec: LayerSpec, inputs: Sequence[Shape]) -> tuple[int, int]:
    """Return the numbers of trainable and fixed weights of a layer."""
    channels = inputs[0][2]
    kernel, biases = _kernel_weights(spec, channels)
    count = (
        1 if spec.kind == "normalization" and spec.fixed else 0
    )  # number of values it was adapted to
    return kernel + biases + spec.trainable * channels, spec.fixed * channels + count


def operations(spec: LayerSpec, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the operations of a layer's forward pass."""
    if spec.kind == "global_average":
        return prod(inputs[0])
    kernel, biases = _kernel_weights(spec, inputs[0][2])
    in_kernel = (2 * kernel + biases) * output[0] * output[1]
    return in_kernel + _operations_of_a_value(spec, len(inputs)) * prod(output)


def depthwise_values(spec: LayerSpec, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the map inside a separable convolution; 0 for other layers."""
    return output[0] * output[1] * inputs[0][2] if spec.kind == "separable" else 0


def _operations_of_a_value(spec: LayerSpec, n_inputs: int) -> int:
    """Return the operations per output value of a layer, except those in kernels."""
    match spec.kind:
        case "max_pool" | "average_pool":
            return prod(spec.kernel)
        case "add" | "multiply":
            return max(1, n_inputs - 1)  # one input: the other is a constant
        case "layer_scale" | "scaled_add":
            return n_inputs
    return NORM_OPERATIONS.get(spec.kind, 0) + ACTIVATION_OPERATIONS.get(spec.activation, 1)


def _kernel_weights(spec: LayerSpec, channels: int) -> tuple[int, int]:
    """Return the numbers of weights in kernels and biases, for inputs of so many channels."""
    window = prod(spec.kernel)
    match spec.kind:
        case "conv" | "dense":
            kernel = window * channels // spec.groups * spec.channels
        case "depthwise":
            kernel = window * channels * spec.channels
        case "separable":
            kernel = window * channels + channels * spec.channels
        case _:
            return 0, 0
    return kernel, _channels(spec, channels) * spec.bias


def _channels(spec: LayerSpec, channels: int) -> int:
    match spec.kind:
        case "conv" | "separable" | "dense":
            return spec.channels
        case "depthwise":
            return channels * spec.channels
    return channels


def _windows(spec: LayerSpec, sides: Pair) -> Pair:
    """Return how many windows fit into the rows and columns of a map."""
    rows, columns = (
        -(-(side if spec.same else side - kernel + 1) // stride)
        for side, kernel, stride in zip(sides, spec.kernel, spec.strides, strict=True)
    )
    return rows, columns


def _amounts(spec: LayerSpec, sides: Pair) -> tuple[int, int, int, int]:
    """Return rows and columns to add or remove; `correct_pad` adds one less to even sides."""
    if spec.kind != "correct_pad":
        return spec.amounts
    half = spec.kernel[0] // 2
    height, width = sides
    return half - 1 + height % 2, half, half - 1 + width % 2, half
