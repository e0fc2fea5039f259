"""The inception network: stages of blocks with four parallel branches, max pooling between."""

from dataclasses import dataclass
from typing import TypeVar

from spaces.models.blocks import apply_dropout, conv_block
from spaces.models.layers import Layers
from spaces.network_settings import Count, Fraction
from spaces.wording import format_dropout, format_widths, plural

T = TypeVar("T")

STEM_KERNEL_SIZE = 3
POOL_SIZE = 3
REDUCTION = 2


@dataclass(frozen=True, slots=True)
class InceptionWidths:
    """Channels of a block's convolutions, named like the columns of the paper's table 1."""

    conv1x1: Count
    reduce3x3: Count
    conv3x3: Count
    reduce5x5: Count
    conv5x5: Count
    pool: Count

    @property
    def output_channels(self) -> int:
        """Channels of the four branches together."""
        return self.conv1x1 + self.conv3x3 + self.conv5x5 + self.pool


@dataclass(frozen=True, slots=True)
class InceptionNetwork:
    """A stem, then stages of `blocks` equal blocks; `dropout` acts after each concatenation.

    The paper's stem, for 224 pixels, divides the side by 8; this one is 3×3 and has no strides.
    """

    stem: Count
    stages: tuple[InceptionWidths, ...]
    blocks: Count
    dropout: Fraction

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`."""
        x = conv_block(x, self.stem, STEM_KERNEL_SIZE, layers, name="stem")
        for number, widths in enumerate(self.stages, start=1):
            if number > 1:
                x = inception_reduction(x, layers, name=f"reduction{number - 1}")
            x = self._stage(x, widths, layers, name=f"stage{number}")
        return x

    def summary(self) -> str:
        """Return `2 stages of 1 block`."""
        return f"{plural(len(self.stages), 'stage')} of {plural(self.blocks, 'block')}"

    def describe(self) -> str:
        """Return `stem of 8 → 1 stage of 16 channels, each of 2 blocks of four branches`."""
        stages = format_widths("stage", [stage.output_channels for stage in self.stages])
        blocks = f"each of {plural(self.blocks, 'block')} of four branches"
        return f"stem of {self.stem} → {stages}, {blocks}{format_dropout(self.dropout)}"

    def _stage(self, x: T, widths: InceptionWidths, layers: Layers[T], *, name: str) -> T:
        for number in range(1, self.blocks + 1):
            x = inception_block(x, widths, layers, name=f"{name}_block{number}")
            x = apply_dropout(x, self.dropout, layers, name=f"{name}_block{number}")
        return x


def inception_block(x: T, widths: InceptionWidths, layers: Layers[T], *, name: str) -> T:
    """Concatenate four branches: 1×1, 1×1 → 3×3, 1×1 → 5×5, pooling → 1×1.

    Returns:
        Feature map of shape `(batch, height, width, conv1x1 + conv3x3 + conv5x5 + pool)`.

    Source: Szegedy et al., "Going Deeper with Convolutions", https://arxiv.org/abs/1409.4842,
        figure 2(b).
    """
    reduced3 = conv_block(x, widths.reduce3x3, 1, layers, name=f"{name}_reduce3x3")
    reduced5 = conv_block(x, widths.reduce5x5, 1, layers, name=f"{name}_reduce5x5")
    pooled = layers.max_pool(x, POOL_SIZE, strides=1, padding="same", name=f"{name}_pool")
    branches = (
        conv_block(x, widths.conv1x1, 1, layers, name=f"{name}_conv1x1"),
        conv_block(reduced3, widths.conv3x3, 3, layers, name=f"{name}_conv3x3"),
        conv_block(reduced5, widths.conv5x5, 5, layers, name=f"{name}_conv5x5"),
        conv_block(pooled, widths.pool, 1, layers, name=f"{name}_pooled"),
    )
    return layers.concatenate(branches, name=f"{name}_concat")


def inception_reduction(x: T, layers: Layers[T], *, name: str) -> T:
    """Apply the paper's pooling between stages: padded 3×3 windows with stride 2."""
    return layers.max_pool(x, POOL_SIZE, strides=REDUCTION, padding="same", name=name)
