"""The toolbox of layers that networks are built with.

Its tensors are Keras tensors (`spaces.keras_models.layers`) or bare shapes whose cost is added up
(`spaces.cost.cost_layers`), so that a network and its predicted cost cannot disagree.
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
        """The settings of all layers, such as initializers and the activation."""

    def channels(self, x: T) -> int:
        """Return the number of channels of a feature map."""

    def conv2d(self, x: T, channels: int, kernel_size: int, *, strides: int = 1, name: str) -> T:
        """Apply a convolution with padding `same`.

        Raises:
            SpaceError: If the map is smaller than the stride.
        """

    def max_pool(
        self,
        x: T,
        pool_size: int,
        *,
        strides: int | None = None,
        padding: Padding = "valid",
        name: str,
    ) -> T:
        """Take the maximum of each window; windows are `strides`, or `pool_size`, apart.

        Leftover rows and columns are dropped, unless the padding is `same`.

        Raises:
            SpaceError: If the map is smaller than the pool, or than a stride if it is padded.
        """

    def average_pool(self, x: T, pool_size: int, *, name: str) -> T:
        """Take the mean of each window; leftover rows and columns are dropped.

        Raises:
            SpaceError: If the map is smaller than the pool.
        """

    def add(self, xs: Sequence[T], *, name: str) -> T:
        """Add feature maps of equal shape."""

    def concatenate(self, xs: Sequence[T], *, name: str) -> T:
        """Concatenate feature maps of equal size along their channels."""

    def batch_norm(self, x: T, *, name: str) -> T:
        """Apply batch normalization."""

    def activation(self, x: T, *, name: str) -> T:
        """Apply the activation of the settings."""

    def dropout(self, x: T, rate: float, *, name: str) -> T:
        """Set a share of the values to 0, and scale up the others."""

    def backbone(self, x: T, backbone: str, unfrozen_layers: int) -> T:
        """Compute feature maps of raw pixels with a pretrained backbone, whose top is trained.

        Raises:
            SpaceError: If the images are too small, or the weights are missing or do not fit.
        """

    def flatten(self, x: T, *, name: str) -> T:
        """Flatten a feature map to a vector."""

    def global_average(self, x: T, *, name: str) -> T:
        """Take the average of each channel."""

    def dense(self, x: T, units: int, *, name: str) -> T:
        """Apply a dense layer without an activation."""

    def probabilities(self, x: T, n_classes: int, *, name: str) -> T:
        """Apply a dense layer with a softmax over the classes."""


class Network(Protocol):
    """What a family draws: a frozen dataclass of values that builds its own feature maps.

    It may also describe itself: `summary() -> str` in a few words (`3 stages`) for tables, and
    `describe() -> str` in a line for the dashboard. Without them, its fields are listed.
    """

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`, made with `layers`."""


def check_window(height: int | None, width: int | None, window: int, *, name: str) -> None:
    """Raise a `SpaceError` for a map smaller than the window or stride that reduces it."""
    if min(height or window, width or window) < window:
        raise SpaceError(
            f"Expected a feature map no smaller than the window or stride that reduces it. "
            f"Received: `{name}` reduces a {height}×{width} map by {window}."
        )


def pooled_size(size: int, pool_size: int, strides: int | None, padding: Padding) -> int:
    """Return the number of windows along a side of `size` values."""
    step = strides or pool_size
    return -(-size // step) if padding == "same" else (size - pool_size) // step + 1
