"""The family `inception`: stages of blocks with four parallel branches, after Szegedy et al."""

from collections.abc import Mapping, Sequence

from spaces.families.registry import Family, register_family
from spaces.models.inception import InceptionNetwork, InceptionWidths
from spaces.parameters.domain_types import Domain, FloatRange, IntRange, Value
from spaces.parameters.head_and_optimizer import (
    BASELINE_PARAMETERS,
    BLOCK_DROPOUT,
    suggest_widths,
    width_parameters,
)
from spaces.parameters.suggestion import Draw

BRANCHES = ("1x1", "3x3", "5x5", "pool")
MAX_PARTS = 4
"""Ratio of the widest branch to the narrowest; the paper's first block has 2, 4, 1 and 1 parts."""


@register_family("inception")
class Inception(Family):
    """Equal blocks in a few stages, wider from one stage to the next."""

    network = InceptionNetwork
    position = 3

    def parameters(self) -> dict[str, Domain]:
        return {
            "inception_stages": IntRange(1, 3),
            "inception_blocks": IntRange(1, 3),
            **width_parameters("inception", 16, 128),
            **{f"inception_parts_{branch}": IntRange(1, MAX_PARTS) for branch in BRANCHES},
            "inception_reduction": FloatRange(0.25, 1.0),
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> InceptionNetwork:
        """Draw a network with a stem half as wide as its first blocks."""
        n_stages = draw.integer("inception_stages")
        widths = suggest_widths(draw, "inception", n_stages)
        parts = [draw.integer(f"inception_parts_{branch}") for branch in BRANCHES]
        reduction = draw.number("inception_reduction")
        return InceptionNetwork(
            stem=max(1, widths[0] // 2),
            stages=tuple(split_width(width, parts, reduction) for width in widths),
            blocks=draw.integer("inception_blocks"),
            dropout=draw.number("block_dropout"),
        )

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return _KNOWN_GOOD


def split_width(width: int, parts: Sequence[int], reduction: float) -> InceptionWidths:
    """Split the channels of a block over its branches: 1×1, 3×3, 5×5 and pooling.

    `reduction` is the share of channels that a 1×1 reduction has of the convolution after it.
    """
    one, three, five, pool = (max(1, round(width * part / sum(parts))) for part in parts)
    return InceptionWidths(
        conv1x1=one,
        reduce3x3=max(1, round(reduction * three)),
        conv3x3=three,
        reduce5x5=max(1, round(reduction * five)),
        conv5x5=five,
        pool=pool,
    )


def _stages(
    n_stages: int, width: int, growth: float, parts: Sequence[int], reduction: float
) -> dict[str, Value]:
    """Return parameters of stages of one block each, without dropout."""
    return {
        "inception_stages": n_stages,
        "inception_blocks": 1,
        "inception_width": width,
        "inception_width_growth": growth,
        **{f"inception_parts_{it}": part for it, part in zip(BRANCHES, parts, strict=True)},
        "inception_reduction": reduction,
        "block_dropout": 0.0,
    }


# Best validation accuracy in 12 epochs on 1,960 brain MRI of 32 pixels; time per epoch on a core.
_KNOWN_GOOD: tuple[dict[str, Value], ...] = (
    BASELINE_PARAMETERS  # .90, 4.3 s
    | _stages(3, 32, 2.0, (1, 3, 2, 1), 0.5)
    | {"batch_normalization": True}
    | {"optimizer": "adam", "learning_rate": 0.001, "adam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .89, 2.4 s
    | _stages(2, 32, 1.5, (1, 2, 2, 1), 0.5)
    | {"activation": "leaky_relu", "dropout": 0.2}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .87, 3.4 s
    | _stages(2, 48, 1.5, (1, 2, 2, 1), 0.5)
    | {"activation": "leaky_relu"}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .84, 3.3 s
    | _stages(3, 24, 1.6, (1, 2, 2, 1), 0.5)
    | {"batch_normalization": True}
    | {"optimizer": "adam", "learning_rate": 0.001, "adam_beta_1": 0.9},
)
