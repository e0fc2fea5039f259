"""The densely connected network: blocks in which each layer sees all earlier ones."""

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
"""Channels of the stem per unit of growth rate, as in DenseNet-BC."""
BOTTLENECK_WIDTH = 4
"""Channels of a bottleneck per unit of growth rate; the paper's choice."""


@dataclass(frozen=True, slots=True)
class DenseNetwork:
    """A 3×3 stem, then dense blocks with a transition after all but the last.

    `compression` is 1 without transitions; `dropout` acts after each convolution but the stem.
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
    """Apply `n_layers` layers that each see the block's input and all earlier outputs.

    A layer is a 3×3 convolution to `growth_rate` channels, normalized if the settings say so and
    activated beforehand; with `bottleneck`, a 1×1 convolution to 4 times as many precedes it.
    Dropout acts after each convolution.

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

    `compression` is the share of channels that remains, above 0 and at most 1; 0.5 in the paper.

    Returns:
        Map of shape `(batch, height // 2, width // 2, max(1, int(compression * channels)))`.

    Source: Huang et al., as above, section 3.
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
