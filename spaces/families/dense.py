"""The family `dense`: densely connected blocks, after Huang et al.

Its parameters begin with `densenet_`, since `dense_layers` and `dense1_units` are the head's.
"""

from collections.abc import Mapping, Sequence

from spaces.common import BLOCK_DROPOUT, USUAL, YES_NO
from spaces.draw import Draw
from spaces.families.registry import Family, register_family
from spaces.models.dense import DenseNetwork
from spaces.parameters import Domain, FloatRange, IntRange, Value


@register_family("dense")
class Dense(Family):
    """Equal blocks with transitions between them."""

    network = DenseNetwork

    def parameters(self) -> dict[str, Domain]:
        """How many blocks and layers, how fast they grow, and what slows the growth."""
        return {
            "densenet_blocks": IntRange(1, 4),
            "densenet_layers": IntRange(1, 6),
            "densenet_growth_rate": IntRange(4, 24, log=True),
            "densenet_compression": FloatRange(0.4, 1.0),
            "densenet_bottleneck": YES_NO,
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> DenseNetwork:
        """A network; compression acts where there are transitions."""
        n_blocks = draw.integer("densenet_blocks")
        return DenseNetwork(
            blocks=n_blocks,
            n_layers=draw.integer("densenet_layers"),
            growth_rate=draw.integer("densenet_growth_rate"),
            compression=draw.number("densenet_compression") if n_blocks > 1 else 1.0,
            bottleneck=draw.flag("densenet_bottleneck"),
            dropout=draw.number("block_dropout"),
        )

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        """Networks that do well on a few thousand grey images of 32 to 64 pixels."""
        return _KNOWN_GOOD


_KNOWN_GOOD: tuple[dict[str, Value], ...] = (USUAL,)
