"""The toolbox a network is written with: one set of layers, several meanings.

A network is a function over tensors that are whatever the toolbox says: Keras tensors
(`keras_layers`), or bare shapes whose cost is added up (`spaces.cost`). So what a network is and
what it costs cannot disagree.
"""

from typing import Protocol, TypeVar

from spaces.errors import SpaceError
from spaces.settings import LayerSettings

T = TypeVar("T")


class Layers(Protocol[T]):
    """Layers over tensors of one type; names are unique within a network."""

    @property
    def settings(self) -> LayerSettings:
        """What all layers share, such as initializers and the activation."""

    def conv2d(self, x: T, channels: int, kernel_size: int, *, name: str) -> T:
        """A convolution with padding `same` and stride 1."""

    def max_pool(self, x: T, pool_size: int, *, name: str) -> T:
        """The largest value of each window; rows and columns left over are dropped."""

    def batch_norm(self, x: T, *, name: str) -> T:
        """Normalization over the batch."""

    def activation(self, x: T, *, name: str) -> T:
        """The activation of the settings."""

    def dropout(self, x: T, *, name: str) -> T:
        """Dropout at the rate of the settings."""

    def flatten(self, x: T, *, name: str) -> T:
        """A feature map as one vector."""

    def global_average(self, x: T, *, name: str) -> T:
        """Each channel's average."""

    def dense(self, x: T, units: int, *, name: str) -> T:
        """A dense layer without an activation."""

    def probabilities(self, x: T, n_classes: int, *, name: str) -> T:
        """A dense layer with a softmax over the classes."""


class Network(Protocol):
    """What a family draws: a frozen dataclass of values that builds its own feature maps."""

    def build(self, x: T, layers: Layers[T]) -> T:
        """Feature maps of the images `x`, made with `layers`."""


def check_pool(height: int | None, width: int | None, pool_size: int, *, name: str) -> None:
    """Refuses to pool a map that is smaller than its pool.

    Raises:
        SpaceError: If nothing would be left of the map.
    """
    if min(height or pool_size, width or pool_size) < pool_size:
        raise SpaceError(
            f"Expected a feature map no smaller than its pool. Received: "
            f"`{name}` pools a {height}×{width} map by {pool_size}."
        )
