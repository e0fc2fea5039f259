"""The cost of a backbone, in closed form from the catalog: without Keras, for any image size."""

from dataclasses import dataclass

from spaces.errors import SpaceError
from spaces.models.backbones.catalog import KERNEL_KINDS, Backbone, Layer, backbone_layers
from spaces.models.backbones.retained_activations import (
    largest_map,
    peak_live_values,
    retained_values,
)
from spaces.models.backbones.shapes import Shape, operations, output_shape, parameters

N_CHANNELS = 3
_FROZEN_KINDS = ("batch_norm", "normalization")


@dataclass(frozen=True, slots=True)
class BackboneCost:
    """What a backbone costs at one image size and number of unfrozen layers.

    `operations` are those of one image's forward pass (a multiply-add is 2); `output_shape` is
    height, width and channels. `retained_values` are those of one image that the backward pass
    needs, `largest_map` is the size of the largest map with a gradient, and `peak_live_values` the
    most values alive at once in a forward pass that retains nothing. `n_layers` counts layers with
    weights, `n_trained_layers` the unfrozen ones of them.
    """

    parameters: int
    trainable_parameters: int
    operations: int
    output_shape: Shape
    retained_values: int
    largest_map: int
    peak_live_values: int
    n_layers: int
    n_trained_layers: int


def backbone_cost(
    backbone: Backbone, image_size: tuple[int, int], unfrozen_layers: int
) -> BackboneCost:
    """Return the cost of a backbone for color images of a size (height, width).

    `unfrozen_layers` counts layers with kernels from the top; more than there are means all.

    Raises:
        SpaceError: If the images are too small for the backbone.
    """
    check_image_size(backbone, image_size)
    layers = backbone_layers(backbone.name)
    shapes = layer_shapes(backbone.name, image_size)
    inputs = [[shapes[index] for index in layer.inputs] or [shapes[0]] for layer in layers]
    weights = [parameters(lay.spec, i) for lay, i in zip(layers, inputs, strict=True)]
    unfrozen = _unfrozen(layers, unfrozen_layers)
    trained = [
        is_unfrozen and trainable > 0
        for is_unfrozen, (trainable, _) in zip(unfrozen, weights, strict=True)
    ]
    return BackboneCost(
        parameters=sum(trainable + fixed for trainable, fixed in weights),
        trainable_parameters=sum(
            trainable
            for (trainable, _), is_trained in zip(weights, trained, strict=True)
            if is_trained
        ),
        operations=sum(
            operations(layer.spec, i, shape)
            for layer, i, shape in zip(layers, inputs, shapes, strict=True)
        ),
        output_shape=shapes[-1],
        retained_values=retained_values(layers, shapes, trained),
        largest_map=largest_map(layers, shapes, trained),
        peak_live_values=peak_live_values(layers, shapes),
        n_layers=sum(sum(pair) > 0 for pair in weights),
        n_trained_layers=sum(trained),
    )


def check_image_size(backbone: Backbone, image_size: tuple[int, int]) -> None:
    """Refuse images that are too small for the backbone.

    Raises:
        SpaceError: If a side is too short; the message names the backbone and both sizes.
    """
    height, width = image_size
    if min(height, width) < backbone.min_size:
        raise SpaceError(
            f"Expected images of at least {backbone.min_size}×{backbone.min_size} pixels for "
            f"{backbone.name}. Received: {height}×{width}."
        )


def layer_shapes(name: str, image_size: tuple[int, int]) -> list[Shape]:
    """Return the output shape of each layer of a backbone."""
    shapes: list[Shape] = [(*image_size, N_CHANNELS)]
    for layer in backbone_layers(name)[1:]:
        shapes.append(output_shape(layer.spec, [shapes[index] for index in layer.inputs]))
    return shapes


def _unfrozen(layers: tuple[Layer, ...], n_layers: int) -> list[bool]:
    """Return whether each layer is unfrozen: most are from the n-th last kernel on."""
    with_kernels = [i for i, layer in enumerate(layers) if layer.spec.kind in KERNEL_KINDS]
    first = with_kernels[-min(n_layers, len(with_kernels))] if n_layers else len(layers)
    return [i >= first and layer.spec.kind not in _FROZEN_KINDS for i, layer in enumerate(layers)]
