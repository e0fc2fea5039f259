"""The residual network: stages of blocks that add their output to their input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar, get_args

from spaces.models.blocks import activate, apply_dropout, conv_block, normalize
from spaces.models.layers import Layers
from spaces.network_settings import Count, Fraction
from spaces.wording import format_dropout, format_widths, plural

T = TypeVar("T")

Version = Literal["v1", "v2"]
VERSIONS: tuple[Version, ...] = get_args(Version)

STEM_KERNEL_SIZE = 3
EXPANSION = 4
"""Channels of a bottleneck's output per channel of its 3×3 convolution."""


class _Conv(NamedTuple):
    channels: int
    kernel_size: int
    strides: int


@dataclass(frozen=True, slots=True)
class ResidualNetwork:
    """A 3×3 stem, then stages of `blocks` blocks; each stage but the first halves the map.

    As the networks for small images in the first paper, section 4.2; `dropout` acts in each block.
    """

    widths: tuple[Count, ...]
    blocks: Count
    version: Version
    bottleneck: bool
    dropout: Fraction

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`."""
        x = layers.conv2d(x, self.widths[0], STEM_KERNEL_SIZE, name="stem")
        x = activate(x, layers, name="stem") if self.version == "v1" else x
        for stage, width in enumerate(self.widths, start=1):
            x = self._stage(x, width, layers, strides=1 if stage == 1 else 2, name=f"stage{stage}")
        return activate(x, layers, name="last") if self.version == "v2" else x

    def summary(self) -> str:
        """Return `v2, 3 stages of 1 block`."""
        kind = "bottleneck" if self.bottleneck else "block"
        stages = plural(len(self.widths), "stage")
        return f"{self.version}, {stages} of {plural(self.blocks, kind)}"

    def describe(self) -> str:
        """Return `2 stages of 16, 32 channels, each of 1 basic block (v2)`."""
        kind = "bottleneck" if self.bottleneck else "basic block"
        each = f"each of {plural(self.blocks, kind)} ({self.version})"
        return f"{format_widths('stage', self.widths)}, {each}{format_dropout(self.dropout)}"

    def _stage(self, x: T, width: int, layers: Layers[T], *, strides: int, name: str) -> T:
        for number in range(1, self.blocks + 1):
            x = residual_block(
                x,
                width,
                layers,
                version=self.version,
                bottleneck=self.bottleneck,
                strides=strides if number == 1 else 1,
                dropout=self.dropout,
                name=f"{name}_block{number}",
            )
        return x


def residual_block(
    x: T,
    channels: int,
    layers: Layers[T],
    *,
    version: Version = "v2",
    bottleneck: bool = False,
    strides: int = 1,
    dropout: float = 0.0,
    name: str,
) -> T:
    """Add the output of two or three convolutions to their input.

    The shortcut is the input itself if shapes agree, otherwise a 1×1 convolution of it. `v1`
    normalizes and activates after each convolution and after the sum, `v2` before each
    convolution, so that the sum is left as it is. A `bottleneck` has one 3×3 convolution between
    two of 1×1, the last of which has 4 times as many channels, in place of two of 3×3. `strides`
    apply to the first 3×3 convolution and to the shortcut. Dropout acts before the last
    convolution.

    Returns:
        Feature map whose sides are divided by `strides` and rounded up, with `channels` channels,
        or 4 times as many from a bottleneck.

    Raises:
        SpaceError: If a side of `x` is shorter than `strides`.

    Source: He et al., "Deep Residual Learning for Image Recognition",
        https://arxiv.org/abs/1512.03385 (v1), "Identity Mappings in Deep Residual Networks",
        https://arxiv.org/abs/1603.05027 (v2); Zagoruyko and Komodakis, "Wide Residual Networks",
        https://arxiv.org/abs/1605.07146 (dropout).
    """
    convs = _convolutions(channels, strides, bottleneck=bottleneck)
    block = _post_activated if version == "v1" else _pre_activated
    return block(x, convs, layers, strides=strides, dropout=dropout, name=name)


def _convolutions(channels: int, strides: int, *, bottleneck: bool) -> Sequence[_Conv]:
    if not bottleneck:
        return _Conv(channels, 3, strides), _Conv(channels, 3, 1)
    # The paper strides in the first 1×1 convolution and so drops three of four pixels; striding in
    # the 3×3 one became usual: https://arxiv.org/abs/1706.02677, section 5.1.
    return _Conv(channels, 1, 1), _Conv(channels, 3, strides), _Conv(EXPANSION * channels, 1, 1)


def _post_activated(
    x: T, convs: Sequence[_Conv], layers: Layers[T], *, strides: int, dropout: float, name: str
) -> T:
    *inner, last = convs
    y = x
    for number, conv in enumerate(inner, start=1):
        y = conv_block(
            y,
            conv.channels,
            conv.kernel_size,
            layers,
            strides=conv.strides,
            name=f"{name}_conv{number}",
        )
    y = apply_dropout(y, dropout, layers, name=name)
    y = _convolve(y, last, layers, name=f"{name}_conv{len(convs)}")
    y = normalize(y, layers, name=f"{name}_conv{len(convs)}")
    if _is_projected(x, last.channels, strides, layers):
        x = _project(x, last.channels, strides, layers, name=f"{name}_shortcut")
        x = normalize(x, layers, name=f"{name}_shortcut")
    return layers.activation(layers.add((x, y), name=f"{name}_add"), name=f"{name}_activation")


def _pre_activated(
    x: T, convs: Sequence[_Conv], layers: Layers[T], *, strides: int, dropout: float, name: str
) -> T:
    first, *others = convs
    activated = activate(x, layers, name=f"{name}_pre1")
    y = _convolve(activated, first, layers, name=f"{name}_conv1")
    for number, conv in enumerate(others, start=2):
        y = activate(y, layers, name=f"{name}_pre{number}")
        y = apply_dropout(y, dropout if number == len(convs) else 0.0, layers, name=name)
        y = _convolve(y, conv, layers, name=f"{name}_conv{number}")
    if _is_projected(x, convs[-1].channels, strides, layers):  # of the activated input, as He's
        x = _project(activated, convs[-1].channels, strides, layers, name=f"{name}_shortcut")
    return layers.add((x, y), name=f"{name}_add")


def _convolve(x: T, conv: _Conv, layers: Layers[T], *, name: str) -> T:
    return layers.conv2d(x, conv.channels, conv.kernel_size, strides=conv.strides, name=name)


def _is_projected(x: T, channels: int, strides: int, layers: Layers[T]) -> bool:
    return strides > 1 or layers.channels(x) != channels


def _project(x: T, channels: int, strides: int, layers: Layers[T], *, name: str) -> T:
    """Apply a 1×1 convolution to every `strides`th value.

    The values are picked by a pooling before it, not by its strides: the gradient of a strided 1×1
    convolution writes out of bounds where a map of 56 pixels or more has fewer than 16 channels
    (oneDNN of TensorFlow 2.21 on AVX-512).
    """
    if strides > 1:
        x = layers.max_pool(x, 1, strides=strides, padding="same", name=f"{name}_pick")
    return layers.conv2d(x, channels, 1, name=name)
