"""What a network costs, in closed form from its config alone: no Keras, no training.

`CostLayers` walks through the same build functions as `KerasLayers`, on bare shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from spaces.config import Config
from spaces.cost.training_memory import (
    RETAINED_BY_ACTIVATION,
    RETAINED_BY_DROPOUT,
    RETAINED_BY_NORM,
    RETAINED_BY_POOL,
    RetainedActivations,
    training_memory_mb,
)
from spaces.keras_models.network import build_network
from spaces.models.backbones import (
    BackboneCost,
    backbone_cost,
    find_backbone,
    transfer_memory_mb,
)
from spaces.models.layers import Padding, check_window, pooled_size
from spaces.network_settings import Activation, LayerSettings

Shape = tuple[int, ...]

# Per value, as TensorFlow's profiler counts them: gelu is x/2 * erfc(-x/√2), silu x * σ(x).
ACTIVATION_OPERATIONS: dict[Activation, int] = {"gelu": 4, "silu": 2}


@dataclass(frozen=True, slots=True)
class Cost:
    """What building and training one config takes.

    `parameters` are all weights as Keras counts them, `memory_mb` is the peak growth of a
    trainer's resident memory at the config's batch size, `operations` are the floating-point
    operations of one image's forward pass (a multiply-add is 2), `feature_maps` are layer names
    with shapes.
    """

    parameters: int
    trainable_parameters: int
    memory_mb: float
    operations: int
    feature_maps: tuple[tuple[str, Shape], ...]


def predict_cost(config: Config, image_shape: tuple[int, int, int], n_classes: int) -> Cost:
    """The cost of training a config on images of a shape (height, width, channels).

    Raises:
        SpaceError: If the images are too small for the network.
    """
    layers = CostLayers(config.layers)
    layers.memory.add_map(prod(image_shape), copies=2)  # raw and normalized pixels
    build_network(image_shape, config, n_classes, layers)
    memory_mb = training_memory_mb(
        layers.memory,
        layers.parameters - sum(backbone.parameters for backbone in layers.backbones),
        config.batch_size,
        settings=config.layers,
        optimizer=config.optimizer,
    ) + sum(
        transfer_memory_mb(backbone, config.batch_size, n_slots=config.optimizer.n_slots)
        for backbone in layers.backbones
    )
    return Cost(
        parameters=layers.parameters,
        trainable_parameters=layers.parameters - layers.fixed_parameters,
        memory_mb=memory_mb,
        operations=layers.operations + 2 * prod(image_shape),  # scale and shift of the pixels
        feature_maps=tuple(layers.feature_maps),
    )


class CostLayers:
    """The toolbox that adds up what each layer costs; its tensors are shapes without the batch.

    A convolution or a dense layer keeps nothing itself: its input is the output that the layer
    before it keeps.
    """

    def __init__(self, settings: LayerSettings) -> None:
        self.settings = settings
        self.parameters = 0
        self.fixed_parameters = 0
        self.operations = 0
        self.memory = RetainedActivations()
        self.backbones: list[BackboneCost] = []
        self.feature_maps: list[tuple[str, Shape]] = []

    def channels(self, x: Shape) -> int:
        """How many channels a feature map has."""
        return x[-1]

    def conv2d(
        self, x: Shape, channels: int, kernel_size: int, *, strides: int = 1, name: str
    ) -> Shape:
        """A convolution with padding `same`.

        Raises:
            SpaceError: If the map is smaller than the stride.
        """
        height, width, depth = x
        check_window(height, width, strides, name=name)
        height, width = (pooled_size(side, strides, strides, "same") for side in (height, width))
        self._add_kernel(kernel_size * kernel_size * depth, channels, n_positions=height * width)
        return self._record_output((height, width, channels), name)

    def max_pool(
        self,
        x: Shape,
        pool_size: int,
        *,
        strides: int | None = None,
        padding: Padding = "valid",
        name: str,
    ) -> Shape:
        """The largest value of each window.

        Raises:
            SpaceError: If the map is smaller than the pool, or than a stride where it is padded.
        """
        window = pool_size if padding == "valid" else strides or pool_size
        check_window(x[0], x[1], window, name=name)
        return self._pool(x, pool_size, strides, padding, name=name)

    def average_pool(self, x: Shape, pool_size: int, *, name: str) -> Shape:
        """The mean of each window.

        Raises:
            SpaceError: If the map is smaller than the pool.
        """
        check_window(x[0], x[1], pool_size, name=name)
        return self._pool(x, pool_size, None, "valid", name=name)

    def add(self, xs: Sequence[Shape], *, name: str) -> Shape:
        """The sum of feature maps of one shape, of which the backward pass needs none."""
        self.operations += (len(xs) - 1) * prod(xs[0])
        return self._record_output(xs[0], name)

    def concatenate(self, xs: Sequence[Shape], *, name: str) -> Shape:
        """The channels of feature maps of one size, one after the other.

        What follows needs its own result of them, not the maps themselves.
        """
        height, width, _ = xs[0]
        return self._record_output((height, width, sum(x[-1] for x in xs)), name)

    def batch_norm(self, x: Shape, *, name: str) -> Shape:
        """Normalization over the batch: a scale, a shift, and two running moments a channel."""
        self.parameters += 4 * x[-1]
        self.fixed_parameters += 2 * x[-1]
        self.operations += 2 * prod(x)
        self.memory.n_layers += 1
        return self._record_output(x, name, copies=RETAINED_BY_NORM)

    def activation(self, x: Shape, *, name: str) -> Shape:
        """The activation of the settings."""
        kind = self.settings.activation
        self.operations += ACTIVATION_OPERATIONS.get(kind, 1) * prod(x)
        return self._record_output(x, name, copies=RETAINED_BY_ACTIVATION[kind])

    def dropout(self, x: Shape, rate: float, *, name: str) -> Shape:
        """Dropout, which does nothing in a forward pass that is not trained."""
        return self._record_output(x, name, copies=RETAINED_BY_DROPOUT)

    def backbone(self, x: Shape, backbone: str, unfrozen_layers: int) -> Shape:
        """Feature maps of raw pixels by a pretrained backbone, of which the top is trained.

        Raises:
            SpaceError: If the images are too small.
        """
        cost = backbone_cost(find_backbone(backbone), (x[0], x[1]), unfrozen_layers)
        self.parameters += cost.parameters
        self.fixed_parameters += cost.parameters - cost.trainable_parameters
        self.operations += cost.operations
        self.backbones.append(cost)
        return self._record_output(cost.output_shape, backbone)

    def flatten(self, x: Shape, *, name: str) -> Shape:
        """A feature map as one vector."""
        return self._record_output((prod(x),), name)

    def global_average(self, x: Shape, *, name: str) -> Shape:
        """Each channel's average."""
        self.operations += prod(x)
        return self._record_output((x[-1],), name, copies=RETAINED_BY_POOL)

    def dense(self, x: Shape, units: int, *, name: str) -> Shape:
        """A dense layer without an activation."""
        (inputs,) = x
        self._add_kernel(inputs, units)
        return self._record_output((units,), name)

    def probabilities(self, x: Shape, n_classes: int, *, name: str) -> Shape:
        """A dense layer with a softmax over the classes."""
        return self.dense(x, n_classes, name=name)

    def _pool(
        self, x: Shape, pool_size: int, strides: int | None, padding: Padding, *, name: str
    ) -> Shape:
        height, width, channels = x
        height, width = (pooled_size(it, pool_size, strides, padding) for it in (height, width))
        out = (height, width, channels)
        self.operations += prod(out) * pool_size * pool_size
        return self._record_output(out, name, copies=RETAINED_BY_POOL)

    def _add_kernel(self, inputs: int, outputs: int, n_positions: int = 1) -> None:
        """Add a kernel and its bias, used at every one of `n_positions`."""
        self.parameters += (inputs + 1) * outputs
        self.operations += (2 * inputs + 1) * outputs * n_positions
        self.memory.n_layers += 1

    def _record_output(self, x: Shape, name: str, copies: float = 0.0) -> Shape:
        self.memory.add_map(prod(x), copies)
        self.feature_maps.append((name, x))
        return x
