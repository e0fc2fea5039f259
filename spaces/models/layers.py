"""The toolbox a network is written with: one set of layers, several meanings.

A network is a function over tensors that are whatever the toolbox says: Keras tensors
(`spaces.keras_models.layers`), or bare shapes whose cost is added up (`spaces.cost.estimate`). So
what a network is and what it costs cannot disagree.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from spaces.errors import SpaceError
from spaces.network_settings import LayerSettings

T = TypeVar("T")
Padding = Literal["valid", "same"]


class Layers(Protocol[T]):
    """Layers over tensors of one type; names are unique within a network."""

    @property
    def settings(self) -> LayerSettings:
        """What all layers share, such as initializers and the activation."""

    def channels(self, x: T) -> int:
        """How many channels a feature map has."""

    def conv2d(self, x: T, channels: int, kernel_size: int, *, strides: int = 1, name: str) -> T:
        """A convolution with padding `same`."""

    def max_pool(
        self,
        x: T,
        pool_size: int,
        *,
        strides: int | None = None,
        padding: Padding = "valid",
        name: str,
    ) -> T:
        """The largest value of each window, `pool_size` apart where `strides` is not given.

        Rows and columns left over are dropped, unless the padding is `same`.
        """

    def average_pool(self, x: T, pool_size: int, *, name: str) -> T:
        """The mean of each window; rows and columns left over are dropped."""

    def add(self, xs: Sequence[T], *, name: str) -> T:
        """The sum of feature maps of one shape."""

    def concatenate(self, xs: Sequence[T], *, name: str) -> T:
        """The channels of feature maps of one size, one after the other."""

    def batch_norm(self, x: T, *, name: str) -> T:
        """Normalization over the batch."""

    def activation(self, x: T, *, name: str) -> T:
        """The activation of the settings."""

    def dropout(self, x: T, rate: float, *, name: str) -> T:
        """Dropout of a share of the values, the others scaled up."""

    def backbone(self, x: T, backbone: str, unfrozen_layers: int) -> T:
        """Feature maps of raw pixels by a pretrained backbone, of which the top is trained."""

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


def check_window(height: int | None, width: int | None, window: int, *, name: str) -> None:
    """Refuse to make a map smaller that has less than one window, or one stride, to it.

    Raises:
        SpaceError: If nothing would be left of the map.
    """
    if min(height or window, width or window) < window:
        raise SpaceError(
            f"Expected a feature map no smaller than the window or stride that reduces it. "
            f"Received: `{name}` reduces a {height}×{width} map by {window}."
        )


def pooled_size(size: int, pool_size: int, strides: int | None, padding: Padding) -> int:
    """How many windows there are along a side of `size` values."""
    step = strides or pool_size
    return -(-size // step) if padding == "same" else (size - pool_size) // step + 1
