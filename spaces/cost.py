"""What a network costs, in closed form from its config alone: no Keras, no training.

`CostLayers` walks through the same build functions as `KerasLayers`, on bare shapes.
"""

from dataclasses import dataclass
from math import prod

from spaces.config import Config
from spaces.models.layers import check_pool
from spaces.models.network import build_network
from spaces.settings import Activation, LayerSettings

Shape = tuple[int, ...]

# Per value, as TensorFlow's profiler counts them: gelu is x/2 * erfc(-x/√2), silu x * σ(x).
ACTIVATION_OPERATIONS: dict[Activation, int] = {"gelu": 4, "silu": 2}

_MB = 2**20
_FLOAT_BYTES = 4


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
    build_network(image_shape, config, n_classes, layers)
    trainable = layers.parameters - layers.fixed_parameters
    values = layers.activations * config.batch_size * 2
    values += layers.parameters * (4 + 2 * config.optimizer.n_slots)
    return Cost(
        parameters=layers.parameters,
        trainable_parameters=trainable,
        memory_mb=values * _FLOAT_BYTES / _MB,
        operations=layers.operations + 2 * prod(image_shape),  # scale and shift of the pixels
        feature_maps=tuple(layers.feature_maps),
    )


class CostLayers:
    """The toolbox that adds up what each layer costs; its tensors are shapes without the batch."""

    def __init__(self, settings: LayerSettings) -> None:
        self.settings = settings
        self.parameters = 0
        self.fixed_parameters = 0
        self.operations = 0
        self.activations = 0
        self.feature_maps: list[tuple[str, Shape]] = []

    def conv2d(self, x: Shape, channels: int, kernel_size: int, *, name: str) -> Shape:
        """A convolution with padding `same` and stride 1."""
        height, width, depth = x
        window = kernel_size * kernel_size * depth
        out = (height, width, channels)
        self.parameters += (window + 1) * channels
        self.operations += (2 * window + 1) * prod(out)
        return self._keep(out, name)

    def max_pool(self, x: Shape, pool_size: int, *, name: str) -> Shape:
        """The largest value of each window.

        Raises:
            SpaceError: If the map is smaller than the pool.
        """
        height, width, channels = x
        check_pool(height, width, pool_size, name=name)
        out = (height // pool_size, width // pool_size, channels)
        self.operations += prod(out) * pool_size * pool_size
        return self._keep(out, name)

    def batch_norm(self, x: Shape, *, name: str) -> Shape:
        """Normalization over the batch: a scale, a shift, and two running moments a channel."""
        self.parameters += 4 * x[-1]
        self.fixed_parameters += 2 * x[-1]
        self.operations += 2 * prod(x)
        return self._keep(x, name)

    def activation(self, x: Shape, *, name: str) -> Shape:
        """The activation of the settings."""
        self.operations += ACTIVATION_OPERATIONS.get(self.settings.activation, 1) * prod(x)
        return self._keep(x, name)

    def dropout(self, x: Shape, *, name: str) -> Shape:
        """Dropout, which does nothing in a forward pass that is not trained."""
        return self._keep(x, name)

    def flatten(self, x: Shape, *, name: str) -> Shape:
        """A feature map as one vector."""
        return self._keep((prod(x),), name)

    def global_average(self, x: Shape, *, name: str) -> Shape:
        """Each channel's average."""
        self.operations += prod(x)
        return self._keep((x[-1],), name)

    def dense(self, x: Shape, units: int, *, name: str) -> Shape:
        """A dense layer without an activation."""
        (inputs,) = x
        self.parameters += (inputs + 1) * units
        self.operations += (2 * inputs + 1) * units
        return self._keep((units,), name)

    def probabilities(self, x: Shape, n_classes: int, *, name: str) -> Shape:
        """A dense layer with a softmax over the classes."""
        return self.dense(x, n_classes, name=name)

    def _keep(self, x: Shape, name: str) -> Shape:
        self.activations += prod(x)
        self.feature_maps.append((name, x))
        return x
