"""The plain network: stages of convolutions, each with an optional max pooling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from spaces.models.blocks import conv_block
from spaces.models.layers import Layers
from spaces.network_settings import Count
from spaces.wording import format_value, format_widths, plural

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlainStage:
    """Convolutions of one width and kernel size; `pool_size` is None without pooling."""

    convs: Count
    channels: Count
    kernel_size: Count
    pool_size: Count | None


@dataclass(frozen=True, slots=True)
class PlainNetwork:
    """Stages one after the other, as in LeCun et al., "Gradient-based learning", 1998."""

    stages: tuple[PlainStage, ...]

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`."""
        for number, stage in enumerate(self.stages, start=1):
            x = plain_stage(x, stage, layers, name=f"stage{number}")
        return x

    def summary(self) -> str:
        """Return `3 stages`."""
        return plural(len(self.stages), "stage")

    def describe(self) -> str:
        """Return `2 stages of 32, 64 channels (kernel 3; max pooling 2)`."""
        details = [
            _each("convolution", [stage.convs for stage in self.stages], unless=1),
            _each("kernel", [stage.kernel_size for stage in self.stages]),
            _describe_pooling([stage.pool_size for stage in self.stages]),
        ]
        widths = format_widths("stage", [stage.channels for stage in self.stages])
        return f"{widths} ({'; '.join(filter(None, details))})"


def plain_stage(x: T, stage: PlainStage, layers: Layers[T], *, name: str) -> T:
    """Apply the convolutions of one stage, then its pooling."""
    for number in range(1, stage.convs + 1):
        x = conv_block(x, stage.channels, stage.kernel_size, layers, name=f"{name}_conv{number}")
    if stage.pool_size is None:
        return x
    return layers.max_pool(x, stage.pool_size, name=f"{name}_pool")


def _each(word: str, values: Sequence[int], unless: int | None = None) -> str:
    """Return `kernel 3` if all stages have the same, else `kernels 3, 5`."""
    if len(set(values)) > 1:
        return f"{word}s {format_value(values)}"
    return "" if values[0] == unless else f"{word if unless is None else word + 's'} {values[0]}"


def _describe_pooling(sizes: Sequence[int | None]) -> str:
    if not any(sizes):
        return "no pooling"
    kept = sizes[:1] if len(set(sizes)) == 1 else sizes
    return f"max pooling {', '.join('none' if it is None else str(it) for it in kept)}"
