"""The family `vgg`: blocks of 3×3 convolutions and max poolings, after Simonyan and Zisserman."""

from collections.abc import Mapping, Sequence

from spaces.common import BLOCK_DROPOUT, USUAL, suggest_widths, width_parameters
from spaces.draw import Draw
from spaces.families.registry import Family, register_family
from spaces.models.vgg import VggNetwork
from spaces.parameters import Domain, IntRange, Value


@register_family("vgg")
class Vgg(Family):
    """Equal blocks, wider from one to the next."""

    network = VggNetwork

    def parameters(self) -> dict[str, Domain]:
        """How many blocks, how deep and how wide they are."""
        return {
            "vgg_blocks": IntRange(1, 4),
            "vgg_convs": IntRange(1, 4),
            **width_parameters("vgg", 8, 64),
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> VggNetwork:
        """A network of blocks."""
        n_blocks = draw.integer("vgg_blocks")
        return VggNetwork(
            widths=suggest_widths(draw, "vgg", n_blocks),
            convs=draw.integer("vgg_convs"),
            dropout=draw.number("block_dropout"),
        )

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        """Networks that do well on a few thousand grey images of 32 to 64 pixels."""
        return _KNOWN_GOOD


_KNOWN_GOOD: tuple[dict[str, Value], ...] = (USUAL,)
