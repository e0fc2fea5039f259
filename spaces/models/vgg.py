"""The vgg network: blocks of equal 3×3 convolutions, each followed by max pooling."""

from dataclasses import dataclass
from typing import TypeVar

from spaces.models.blocks import apply_dropout, conv_block
from spaces.models.layers import Layers
from spaces.network_settings import Count, Fraction
from spaces.wording import format_dropout, format_widths, plural

T = TypeVar("T")

KERNEL_SIZE = 3
POOL_SIZE = 2


@dataclass(frozen=True, slots=True)
class VggNetwork:
    """Blocks of these widths with `convs` convolutions each; `dropout` acts after each pooling."""

    widths: tuple[Count, ...]
    convs: Count
    dropout: Fraction

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`."""
        for number, width in enumerate(self.widths, start=1):
            x = vgg_block(x, width, self.convs, layers, name=f"block{number}")
            x = apply_dropout(x, self.dropout, layers, name=f"block{number}")
        return x

    def summary(self) -> str:
        """Return `3 blocks of 2 convs`."""
        return f"{plural(len(self.widths), 'block')} of {plural(self.convs, 'conv')}"

    def describe(self) -> str:
        """Return `2 blocks of 16, 32 channels, each of 1 convolution`."""
        blocks = format_widths("block", self.widths)
        return (
            f"{blocks}, each of {plural(self.convs, 'convolution')}{format_dropout(self.dropout)}"
        )


def vgg_block(x: T, channels: int, n_convs: int, layers: Layers[T], *, name: str) -> T:
    """Apply `n_convs` 3×3 convolutions of one width, then max pooling that halves the map.

    Returns:
        Feature map of shape `(batch, height // 2, width // 2, channels)`.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", https://arxiv.org/abs/1409.1556; batch normalization came later.
    """
    for number in range(1, n_convs + 1):
        x = conv_block(x, channels, KERNEL_SIZE, layers, name=f"{name}_conv{number}")
    return layers.max_pool(x, POOL_SIZE, name=f"{name}_pool")
