"""A toolbox that adds up the cost of layers, over shapes instead of tensors, without Keras."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from spaces.cost.training_memory import (
    RETAINED_BY_ACTIVATION,
    RETAINED_BY_DROPOUT,
    RETAINED_BY_NORM,
    RETAINED_BY_POOL,
    RetainedActivations,
)
from spaces.models.backbones import BackboneCost, backbone_cost, find_backbone
from spaces.models.backbones.shapes import ACTIVATION_OPERATIONS
from spaces.models.layers import Padding, check_window, pooled_size
from spaces.network_settings import LayerSettings

Shape = tuple[int, ...]
IMAGE = "image"


@dataclass(frozen=True, slots=True)
class DrawnLayer:
    """A layer of a network, named as in the Keras model.

    `kind` is its method of the toolbox (`conv2d`, `dense`, ...), or `image`. `shape` is that of
    its output without the batch. `parameters` are all of its weights, for a `backbone` those of
    the whole backbone. `inputs` are the names of the layers before it.
    """

    name: str
    kind: str
    shape: Shape
    parameters: int
    inputs: tuple[str, ...]


class LayerOutput(tuple[int, ...]):
    """The shape of a layer's output, with the layer's name."""

    layer: str


class CostLayers:
    """The methods of `spaces.models.Layers` over shapes without the batch; an image is a tuple.

    A convolution or a dense layer retains nothing: the layer before it retains its input.
    """

    def __init__(self, settings: LayerSettings) -> None:
        self.settings = settings
        self.parameters = 0
        self.fixed_parameters = 0
        self.operations = 0
        self.memory = RetainedActivations()
        self.backbones: list[BackboneCost] = []
        self.layers: list[DrawnLayer] = []

    @property
    def feature_maps(self) -> tuple[tuple[str, Shape], ...]:
        """The name and the shape of each layer's output."""
        return tuple((layer.name, layer.shape) for layer in self.layers)

    def channels(self, x: Shape) -> int:
        return x[-1]

    def conv2d(
        self, x: Shape, channels: int, kernel_size: int, *, strides: int = 1, name: str
    ) -> Shape:
        height, width, depth = x
        check_window(height, width, strides, name=name)
        height, width = (pooled_size(side, strides, strides, "same") for side in (height, width))
        weights = self._add_kernel(kernel_size**2 * depth, channels, n_positions=height * width)
        return self._add_layer("conv2d", (height, width, channels), x, name=name, weights=weights)

    def max_pool(
        self,
        x: Shape,
        pool_size: int,
        *,
        strides: int | None = None,
        padding: Padding = "valid",
        name: str,
    ) -> Shape:
        window = pool_size if padding == "valid" else strides or pool_size
        check_window(x[0], x[1], window, name=name)
        return self._pool("max_pool", x, pool_size, strides, padding, name=name)

    def average_pool(self, x: Shape, pool_size: int, *, name: str) -> Shape:
        check_window(x[0], x[1], pool_size, name=name)
        return self._pool("average_pool", x, pool_size, None, "valid", name=name)

    def add(self, xs: Sequence[Shape], *, name: str) -> Shape:
        # The backward pass needs none of the maps.
        self.operations += (len(xs) - 1) * prod(xs[0])
        return self._add_layer("add", xs[0], *xs, name=name)

    def concatenate(self, xs: Sequence[Shape], *, name: str) -> Shape:
        # The next layer retains what it needs of the maps.
        height, width, _ = xs[0]
        shape = (height, width, sum(x[-1] for x in xs))
        return self._add_layer("concatenate", shape, *xs, name=name)

    def batch_norm(self, x: Shape, *, name: str) -> Shape:
        weights = 4 * x[-1]  # a scale, a shift, and two running moments of each channel
        self.parameters += weights
        self.fixed_parameters += 2 * x[-1]
        self.operations += 2 * prod(x)
        self.memory.n_layers += 1
        return self._add_layer(
            "batch_norm", x, x, name=name, weights=weights, copies=RETAINED_BY_NORM
        )

    def activation(self, x: Shape, *, name: str) -> Shape:
        kind = self.settings.activation
        self.operations += ACTIVATION_OPERATIONS.get(kind, 1) * prod(x)
        return self._add_layer("activation", x, x, name=name, copies=RETAINED_BY_ACTIVATION[kind])

    def dropout(self, x: Shape, rate: float, *, name: str) -> Shape:
        return self._add_layer("dropout", x, x, name=name, copies=RETAINED_BY_DROPOUT)

    def backbone(self, x: Shape, backbone: str, unfrozen_layers: int) -> Shape:
        cost = backbone_cost(find_backbone(backbone), (x[0], x[1]), unfrozen_layers)
        self.parameters += cost.parameters
        self.fixed_parameters += cost.parameters - cost.trainable_parameters
        self.operations += cost.operations
        self.backbones.append(cost)
        return self._add_layer(
            "backbone", cost.output_shape, x, name=backbone, weights=cost.parameters
        )

    def flatten(self, x: Shape, *, name: str) -> Shape:
        return self._add_layer("flatten", (prod(x),), x, name=name)

    def global_average(self, x: Shape, *, name: str) -> Shape:
        self.operations += prod(x)
        return self._add_layer("global_average", (x[-1],), x, name=name, copies=RETAINED_BY_POOL)

    def dense(self, x: Shape, units: int, *, name: str) -> Shape:
        return self._dense("dense", x, units, name=name)

    def probabilities(self, x: Shape, n_classes: int, *, name: str) -> Shape:
        return self._dense("probabilities", x, n_classes, name=name)

    def _dense(self, kind: str, x: Shape, units: int, *, name: str) -> Shape:
        (inputs,) = x
        weights = self._add_kernel(inputs, units)
        return self._add_layer(kind, (units,), x, name=name, weights=weights)

    def _pool(
        self,
        kind: str,
        x: Shape,
        pool_size: int,
        strides: int | None,
        padding: Padding,
        *,
        name: str,
    ) -> Shape:
        height, width, channels = x
        height, width = (pooled_size(it, pool_size, strides, padding) for it in (height, width))
        shape = (height, width, channels)
        self.operations += prod(shape) * pool_size * pool_size
        return self._add_layer(kind, shape, x, name=name, copies=RETAINED_BY_POOL)

    def _add_kernel(self, inputs: int, outputs: int, n_positions: int = 1) -> int:
        """Count a kernel and its bias, applied at `n_positions`; return the number of weights."""
        weights = (inputs + 1) * outputs
        self.parameters += weights
        self.operations += (2 * inputs + 1) * outputs * n_positions
        self.memory.n_layers += 1
        return weights

    def _add_layer(
        self,
        kind: str,
        shape: Shape,
        *inputs: Shape,
        name: str,
        weights: int = 0,
        copies: float = 0.0,
    ) -> Shape:
        """Record a layer, of whose output so many `copies` are retained."""
        self.memory.add_map(prod(shape), copies)
        sources = tuple(x.layer if isinstance(x, LayerOutput) else IMAGE for x in inputs)
        self.layers.append(DrawnLayer(name, kind, tuple(shape), weights, sources))
        output = LayerOutput(shape)
        output.layer = name
        return output
