"""The family `residual`: stages of blocks with shortcuts, after He et al."""

from collections.abc import Mapping, Sequence

from spaces.common import BLOCK_DROPOUT, USUAL, YES_NO, suggest_widths, width_parameters
from spaces.draw import Draw
from spaces.families.registry import Family, register_family
from spaces.models.residual import VERSIONS, ResidualNetwork
from spaces.parameters import Choices, Domain, IntRange, Value


@register_family("residual")
class Residual(Family):
    """Equal blocks in a few stages, wider from one stage to the next."""

    network = ResidualNetwork

    def parameters(self) -> dict[str, Domain]:
        """How many stages and blocks, how wide, and of which kind."""
        return {
            "residual_stages": IntRange(1, 4),
            "residual_blocks": IntRange(1, 3),
            **width_parameters("residual", 8, 64),
            "residual_bottleneck": YES_NO,
            "residual_version": Choices(VERSIONS),
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> ResidualNetwork:
        """A network whose blocks are all of one kind."""
        n_stages = draw.integer("residual_stages")
        return ResidualNetwork(
            widths=suggest_widths(draw, "residual", n_stages),
            blocks=draw.integer("residual_blocks"),
            version=draw.one_of("residual_version", VERSIONS),
            bottleneck=draw.flag("residual_bottleneck"),
            dropout=draw.number("block_dropout"),
        )

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        """Networks that do well on a few thousand grey images of 32 to 64 pixels."""
        return _KNOWN_GOOD


_KNOWN_GOOD: tuple[dict[str, Value], ...] = (USUAL,)
