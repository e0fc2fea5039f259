"""The number of values of a backbone's maps that stay in memory, for one image.

Dropout, reshaping and the linear activation return their input, so their output is not counted.
"""

from collections.abc import Sequence
from math import prod

from spaces.models.backbones.catalog import KERNEL_KINDS, Layer
from spaces.models.backbones.shapes import Shape, depthwise_values

# What backward passes need beside inputs and outputs, in copies of the layer's output; fitted like
# the constants of `memory`. silu and gelu retain their input and parts of what they compute.
EXTRA_BY_ACTIVATION = {"silu": 2.5, "gelu": 2.75}
EXTRA_BY_NORM = 1.0  # of a layer normalization: its centered input

_RETAINS_OUTPUT = ("relu", "relu6", "sigmoid")


def retained_values(
    layers: Sequence[Layer], shapes: Sequence[Shape], trained: Sequence[bool]
) -> int:
    """Return how many values the backward pass needs, from the first trained layer on."""
    requires_gradient = _requires_gradient(layers, trained)
    owners = _buffer_owners(layers)
    retained: set[int] = set()
    extra = 0.0
    for position, layer in enumerate(layers):
        if requires_gradient[position]:
            retained.update(
                owners[index] for index in _retained_outputs(position, layer, trained[position])
            )
            extra += _extra_values(layer, [shapes[i] for i in layer.inputs], shapes[position])
    return round(sum(prod(shapes[index]) for index in retained) + extra)


def largest_map(layers: Sequence[Layer], shapes: Sequence[Shape], trained: Sequence[bool]) -> int:
    """Return the size of the largest map that a gradient is computed for."""
    requires_gradient = _requires_gradient(layers, trained)
    return max((prod(s) for s, r in zip(shapes, requires_gradient, strict=True) if r), default=0)


def peak_live_values(layers: Sequence[Layer], shapes: Sequence[Shape]) -> int:
    """Return the most values alive at once in a forward pass that retains nothing."""
    owners = _buffer_owners(layers)
    last_use = dict(enumerate(range(len(layers))))
    for position, layer in enumerate(layers):
        last_use.update((owners[index], position) for index in layer.inputs)
    alive: dict[int, int] = {}
    most = 0
    for position, owner in enumerate(owners):
        if owner == position:
            alive[position] = prod(shapes[position])
        most = max(most, sum(alive.values()))
        alive = {index: size for index, size in alive.items() if last_use[index] > position}
    return most


def _requires_gradient(layers: Sequence[Layer], trained: Sequence[bool]) -> list[bool]:
    """Return whether each layer, or one that it depends on, is trained."""
    requires_gradient: list[bool] = []
    for layer, is_trained in zip(layers, trained, strict=True):
        requires_gradient.append(
            is_trained or any(requires_gradient[index] for index in layer.inputs)
        )
    return requires_gradient


def _buffer_owners(layers: Sequence[Layer]) -> list[int]:
    """Return, for each layer, the position of the layer whose buffer holds its output."""
    owners: list[int] = []
    for position, layer in enumerate(layers):
        spec = layer.spec
        passes = spec.kind in {"dropout", "reshape"} or (
            spec.kind == "activation" and spec.activation == "linear"
        )
        owners.append(owners[layer.inputs[0]] if passes else position)
    return owners


def _retained_outputs(position: int, layer: Layer, trained: bool) -> list[int]:
    """Return positions of the outputs that a layer's backward pass needs."""
    spec = layer.spec
    needed = [position] if spec.activation in _RETAINS_OUTPUT else []
    if spec.kind in {*KERNEL_KINDS, "layer_scale"} and trained:
        needed += layer.inputs
    if spec.kind == "multiply" and len(layer.inputs) > 1:
        needed += layer.inputs
    if spec.kind == "max_pool":
        needed += [*layer.inputs, position]
    return needed


def _extra_values(layer: Layer, inputs: Sequence[Shape], output: Shape) -> float:
    """Return how many retained values are not the output of any layer."""
    spec = layer.spec
    copies = EXTRA_BY_ACTIVATION.get(spec.activation, 0.0)
    if spec.kind == "layer_norm":
        copies += EXTRA_BY_NORM
    return copies * prod(output) + depthwise_values(spec, inputs, output)
