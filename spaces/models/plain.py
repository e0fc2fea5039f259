"""The plain network: stages of convolutions, each with an optional max pooling."""

from dataclasses import dataclass
from typing import TypeVar

from spaces.models.blocks import conv_block
from spaces.models.layers import Layers
from spaces.network_settings import Count

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlainStage:
    """Convolutions of one width and kernel; `pool_size` is None where nothing is pooled."""

    convs: Count
    channels: Count
    kernel_size: Count
    pool_size: Count | None


@dataclass(frozen=True, slots=True)
class PlainNetwork:
    """Stages one after the other, as in LeCun et al., "Gradient-based learning", 1998."""

    stages: tuple[PlainStage, ...]

    def build(self, x: T, layers: Layers[T]) -> T:
        """Feature maps of the images `x`."""
        for number, stage in enumerate(self.stages, start=1):
            x = plain_stage(x, stage, layers, name=f"stage{number}")
        return x


def plain_stage(x: T, stage: PlainStage, layers: Layers[T], *, name: str) -> T:
    """The convolutions of one stage, then its pooling."""
    for number in range(1, stage.convs + 1):
        x = conv_block(x, stage.channels, stage.kernel_size, layers, name=f"{name}_conv{number}")
    if stage.pool_size is None:
        return x
    return layers.max_pool(x, stage.pool_size, name=f"{name}_pool")
