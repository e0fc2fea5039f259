"""The densely connected network: blocks in which each layer sees all before it."""

from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field

from spaces.models.blocks import activate, apply_dropout
from spaces.models.layers import Layers
from spaces.network_settings import Count, Fraction
from spaces.wording import format_dropout, format_value, plural

T = TypeVar("T")

Compression = Annotated[float, Field(gt=0, le=1)]

STEM_KERNEL_SIZE = 3
STEM_WIDTH = 2
"""Channels of the stem per unit of growth rate, as in the paper's DenseNet-BC."""
BOTTLENECK_WIDTH = 4
"""Channels of a bottleneck per unit of growth rate; the paper's choice."""


@dataclass(frozen=True, slots=True)
class DenseNetwork:
    """A 3×3 stem, then dense blocks of `n_layers` layers with a transition after all but the last.

    `compression` is 1 where there is no transition; `dropout` acts after each convolution but the
    stem.
    """

    blocks: Count
    n_layers: Count
    growth_rate: Count
    compression: Compression
    bottleneck: bool
    dropout: Fraction

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`."""
        x = layers.conv2d(x, STEM_WIDTH * self.growth_rate, STEM_KERNEL_SIZE, name="stem")
        for number in range(1, self.blocks + 1):
            if number > 1:
                x = transition(
                    x,
                    self.compression,
                    layers,
                    dropout=self.dropout,
                    name=f"transition{number - 1}",
                )
            x = dense_block(
                x,
                self.n_layers,
                self.growth_rate,
                layers,
                bottleneck=self.bottleneck,
                dropout=self.dropout,
                name=f"block{number}",
            )
        return activate(x, layers, name="last")

    def summary(self) -> str:
        """Return `3 blocks of 2 layers, growth 12`."""
        blocks = plural(self.blocks, "block")
        return f"{blocks} of {plural(self.n_layers, 'layer')}, growth {self.growth_rate}"

    def describe(self) -> str:
        """Return `3 blocks of 2 layers, growth 12, compression 0.5, bottlenecks`."""
        compression = ""
        if self.compression != 1:
            compression = f", compression {format_value(self.compression)}"
        bottlenecks = ", bottlenecks" if self.bottleneck else ""
        return f"{self.summary()}{compression}{bottlenecks}{format_dropout(self.dropout)}"


def dense_block(
    x: T,
    n_layers: int,
    growth_rate: int,
    layers: Layers[T],
    *,
    bottleneck: bool = False,
    dropout: float = 0.0,
    name: str,
) -> T:
    """Apply layers that each see the block's input and all earlier outputs.

    Args:
        x: Feature map, shape `(batch, height, width, channels)`.
        n_layers: How many 3×3 convolutions, each normalized where the settings say so and
            activated beforehand.
        growth_rate: Channels that each of them adds.
        layers: The toolbox to build with.
        bottleneck: Whether a 1×1 convolution of 4 times the growth rate comes before each.
        dropout: Rate after each convolution.
        name: What the names of the block's layers begin with.

    Returns:
        Feature map of shape `(batch, height, width, channels + n_layers * growth_rate)`.

    Source: Huang et al., "Densely Connected Convolutional Networks",
        https://arxiv.org/abs/1608.06993.
    """
    for number in range(1, n_layers + 1):
        y = x
        layer = f"{name}_layer{number}"
        if bottleneck:
            width = BOTTLENECK_WIDTH * growth_rate
            y = _composite(y, width, 1, layers, dropout=dropout, name=f"{layer}_narrow")
        y = _composite(y, growth_rate, 3, layers, dropout=dropout, name=f"{layer}_conv")
        x = layers.concatenate((x, y), name=f"{layer}_concat")
    return x


def transition(
    x: T, compression: float, layers: Layers[T], *, dropout: float = 0.0, name: str
) -> T:
    """Apply a 1×1 convolution to fewer channels, then average pooling that halves the map.

    Args:
        x: Feature map, shape `(batch, height, width, channels)`.
        compression: The share of channels that stays, above 0 and at most 1; the paper's is 0.5.
        layers: The toolbox to build with.
        dropout: Rate after the convolution.
        name: What the names of the transition's layers begin with.

    Returns:
        Feature map of shape `(batch, height // 2, width // 2, int(compression * channels))`, with
        at least one channel.

    Raises:
        SpaceError: If a side of `x` is shorter than 2.

    Source: Huang et al., "Densely Connected Convolutional Networks",
        https://arxiv.org/abs/1608.06993, section 3.
    """
    channels = max(1, int(compression * layers.channels(x)))
    x = _composite(x, channels, 1, layers, dropout=dropout, name=f"{name}_conv")
    return layers.average_pool(x, 2, name=f"{name}_pool")


def _composite(
    x: T, channels: int, kernel_size: int, layers: Layers[T], *, dropout: float, name: str
) -> T:
    """Apply the paper's function H: normalization, activation, convolution, dropout."""
    x = activate(x, layers, name=name)
    x = layers.conv2d(x, channels, kernel_size, name=name)
    return apply_dropout(x, dropout, layers, name=name)
