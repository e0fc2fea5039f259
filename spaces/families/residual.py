"""The family `residual`: stages of blocks with shortcuts, after He et al."""

from collections.abc import Mapping, Sequence

from spaces.families.registry import Family, register_family
from spaces.models.residual import VERSIONS, ResidualNetwork, Version
from spaces.parameters.domain_types import Choices, Domain, IntRange, Value
from spaces.parameters.head_and_optimizer import (
    BASELINE_PARAMETERS,
    BLOCK_DROPOUT,
    BOOLEAN,
    suggest_widths,
    width_parameters,
)
from spaces.parameters.suggestion import Draw


@register_family("residual")
class Residual(Family):
    """Equal blocks in a few stages, wider from one stage to the next."""

    network = ResidualNetwork
    position = 4

    def parameters(self) -> dict[str, Domain]:
        return {
            "residual_stages": IntRange(1, 4),
            "residual_blocks": IntRange(1, 3),
            **width_parameters("residual", 8, 64),
            "residual_bottleneck": BOOLEAN,
            "residual_version": Choices(VERSIONS),
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> ResidualNetwork:
        n_stages = draw.integer("residual_stages")
        return ResidualNetwork(
            widths=suggest_widths(draw, "residual", n_stages),
            blocks=draw.integer("residual_blocks"),
            version=draw.one_of("residual_version", VERSIONS),
            bottleneck=draw.flag("residual_bottleneck"),
            dropout=draw.number("block_dropout"),
        )

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return _KNOWN_GOOD


def _stages(
    n_stages: int, width: int, growth: float, version: Version, *, dropout: float = 0.0
) -> dict[str, Value]:
    """Return parameters of stages of one basic block each."""
    return {
        "residual_stages": n_stages,
        "residual_blocks": 1,
        "residual_width": width,
        "residual_width_growth": growth,
        "residual_bottleneck": False,
        "residual_version": version,
        "block_dropout": dropout,
    }


# Best validation accuracy in 12 epochs on 1,960 brain MRI of 32 pixels; time per epoch on a core.
_KNOWN_GOOD: tuple[dict[str, Value], ...] = (
    BASELINE_PARAMETERS  # .88, 3.3 s
    | _stages(3, 16, 2.0, "v2", dropout=0.1)
    | {"batch_normalization": True}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .88, 3.1 s
    | _stages(3, 16, 2.0, "v1")
    | {"batch_normalization": True}
    | {"optimizer": "adam", "learning_rate": 0.001, "adam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .87, 1.7 s
    | _stages(3, 12, 1.8, "v1")
    | {"activation": "elu", "kernel_initializer": "glorot_uniform"}
    | {"optimizer": "sgd", "sgd_learning_rate": 0.005, "sgd_momentum": 0.9, "sgd_nesterov": True},
    BASELINE_PARAMETERS  # .85, 1.9 s
    | _stages(3, 12, 1.8, "v2", dropout=0.1)
    | {"activation": "leaky_relu", "kernel_initializer": "glorot_uniform"}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
)
