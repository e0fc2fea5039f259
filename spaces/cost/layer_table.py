"""What a network is made of, layer by layer, from its config alone: no Keras, no training.

`LayerRecorder` walks through the same build functions as `KerasLayers` and `CostLayers`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spaces.config import Config
from spaces.cost.estimate import CostLayers, Shape
from spaces.keras_models.network import build_network
from spaces.models.layers import Padding
from spaces.network_settings import LayerSettings

IMAGE = "image"


@dataclass(frozen=True, slots=True)
class DrawnLayer:
    """A layer of a network.

    Attributes:
        name: As the Keras model has it.
        kind: The toolbox's name of it: `conv2d`, `max_pool`, `dense`, ...; `image` for the image.
        shape: Of its output, without the batch.
        parameters: All of its weights; those of the whole backbone for a `backbone`.
        inputs: Names of the layers whose output it takes.
    """

    name: str
    kind: str
    shape: Shape
    parameters: int
    inputs: tuple[str, ...]


def draw_network(
    config: Config, image_shape: tuple[int, int, int], n_classes: int
) -> tuple[DrawnLayer, ...]:
    """Return the layers of a network in the order in which they compute, the image first.

    Args:
        config: What is built.
        image_shape: Height, width and channels.
        n_classes: How many probabilities come out.

    Raises:
        SpaceError: If the images are too small for the network.
    """
    layers = LayerRecorder(config.layers)
    image = DrawnLayer(IMAGE, IMAGE, image_shape, 0, ())
    build_network(image, config, n_classes, layers)
    return (image, *layers.recorded)


class LayerRecorder:
    """The toolbox that notes each layer; a tensor is the layer that it came out of."""

    def __init__(self, settings: LayerSettings) -> None:
        self.settings = settings
        self.recorded: list[DrawnLayer] = []
        self._costs = CostLayers(settings)
        self._n_recorded_parameters = 0

    def channels(self, x: DrawnLayer) -> int:
        """How many channels a feature map has."""
        return self._costs.channels(x.shape)

    def conv2d(
        self, x: DrawnLayer, channels: int, kernel_size: int, *, strides: int = 1, name: str
    ) -> DrawnLayer:
        """A convolution with padding `same`.

        Raises:
            SpaceError: If the map is smaller than the stride.
        """
        shape = self._costs.conv2d(x.shape, channels, kernel_size, strides=strides, name=name)
        return self._record("conv2d", shape, x, name=name)

    def max_pool(
        self,
        x: DrawnLayer,
        pool_size: int,
        *,
        strides: int | None = None,
        padding: Padding = "valid",
        name: str,
    ) -> DrawnLayer:
        """The largest value of each window.

        Raises:
            SpaceError: If the map is smaller than the pool, or than a stride where it is padded.
        """
        shape = self._costs.max_pool(
            x.shape, pool_size, strides=strides, padding=padding, name=name
        )
        return self._record("max_pool", shape, x, name=name)

    def average_pool(self, x: DrawnLayer, pool_size: int, *, name: str) -> DrawnLayer:
        """The mean of each window.

        Raises:
            SpaceError: If the map is smaller than the pool.
        """
        shape = self._costs.average_pool(x.shape, pool_size, name=name)
        return self._record("average_pool", shape, x, name=name)

    def add(self, xs: Sequence[DrawnLayer], *, name: str) -> DrawnLayer:
        """The sum of feature maps of one shape."""
        shape = self._costs.add([x.shape for x in xs], name=name)
        return self._record("add", shape, *xs, name=name)

    def concatenate(self, xs: Sequence[DrawnLayer], *, name: str) -> DrawnLayer:
        """The channels of feature maps of one size, one after the other."""
        shape = self._costs.concatenate([x.shape for x in xs], name=name)
        return self._record("concatenate", shape, *xs, name=name)

    def batch_norm(self, x: DrawnLayer, *, name: str) -> DrawnLayer:
        """Normalization over the batch."""
        return self._record("batch_norm", self._costs.batch_norm(x.shape, name=name), x, name=name)

    def activation(self, x: DrawnLayer, *, name: str) -> DrawnLayer:
        """The activation of the settings."""
        return self._record("activation", self._costs.activation(x.shape, name=name), x, name=name)

    def dropout(self, x: DrawnLayer, rate: float, *, name: str) -> DrawnLayer:
        """Dropout of a share of the values."""
        return self._record("dropout", self._costs.dropout(x.shape, rate, name=name), x, name=name)

    def backbone(self, x: DrawnLayer, backbone: str, unfrozen_layers: int) -> DrawnLayer:
        """A pretrained backbone, all of it as one layer.

        Raises:
            SpaceError: If the images are too small.
        """
        shape = self._costs.backbone(x.shape, backbone, unfrozen_layers)
        return self._record("backbone", shape, x, name=backbone)

    def flatten(self, x: DrawnLayer, *, name: str) -> DrawnLayer:
        """A feature map as one vector."""
        return self._record("flatten", self._costs.flatten(x.shape, name=name), x, name=name)

    def global_average(self, x: DrawnLayer, *, name: str) -> DrawnLayer:
        """Each channel's average."""
        shape = self._costs.global_average(x.shape, name=name)
        return self._record("global_average", shape, x, name=name)

    def dense(self, x: DrawnLayer, units: int, *, name: str) -> DrawnLayer:
        """A dense layer without an activation."""
        return self._record("dense", self._costs.dense(x.shape, units, name=name), x, name=name)

    def probabilities(self, x: DrawnLayer, n_classes: int, *, name: str) -> DrawnLayer:
        """A dense layer with a softmax over the classes."""
        shape = self._costs.probabilities(x.shape, n_classes, name=name)
        return self._record("probabilities", shape, x, name=name)

    def _record(self, kind: str, shape: Shape, *inputs: DrawnLayer, name: str) -> DrawnLayer:
        """Note a layer; whatever has been counted since the one before are its parameters."""
        parameters = self._costs.parameters - self._n_recorded_parameters
        self._n_recorded_parameters = self._costs.parameters
        layer = DrawnLayer(name, kind, shape, parameters, tuple(it.name for it in inputs))
        self.recorded.append(layer)
        return layer
