"""The family `vgg`: blocks of 3×3 convolutions and max poolings, after Simonyan and Zisserman."""

from collections.abc import Mapping, Sequence

from spaces.families.registry import Family, register_family
from spaces.models.vgg import VggNetwork
from spaces.parameters.domain_types import Domain, IntRange, Value
from spaces.parameters.head_and_optimizer import (
    BASELINE_PARAMETERS,
    BLOCK_DROPOUT,
    suggest_widths,
    width_parameters,
)
from spaces.parameters.suggestion import Draw


@register_family("vgg")
class Vgg(Family):
    """Equal blocks, wider from one to the next."""

    network = VggNetwork
    position = 2

    def parameters(self) -> dict[str, Domain]:
        return {
            "vgg_blocks": IntRange(1, 4),
            "vgg_convs": IntRange(1, 4),
            **width_parameters("vgg", 8, 64),
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> VggNetwork:
        n_blocks = draw.integer("vgg_blocks")
        return VggNetwork(
            widths=suggest_widths(draw, "vgg", n_blocks),
            convs=draw.integer("vgg_convs"),
            dropout=draw.number("block_dropout"),
        )

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return _KNOWN_GOOD


def _blocks(
    n_blocks: int, n_convs: int, width: int, growth: float, *, dropout: float = 0.0
) -> dict[str, Value]:
    return {
        "vgg_blocks": n_blocks,
        "vgg_convs": n_convs,
        "vgg_width": width,
        "vgg_width_growth": growth,
        "block_dropout": dropout,
    }


# Best validation accuracy in 12 epochs on 1,960 brain MRI of 32 pixels; time per epoch on a core.
_KNOWN_GOOD: tuple[dict[str, Value], ...] = (
    BASELINE_PARAMETERS  # .91, 2.4 s
    | _blocks(3, 2, 16, 2.0, dropout=0.05)
    | {"batch_normalization": True}
    | {"optimizer": "adam", "learning_rate": 0.001, "adam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .89, 1.4 s
    | _blocks(4, 1, 32, 1.4, dropout=0.05)
    | {"activation": "elu", "kernel_initializer": "glorot_uniform"}
    | {"optimizer": "sgd", "sgd_learning_rate": 0.02, "sgd_momentum": 0.9, "sgd_nesterov": True},
    BASELINE_PARAMETERS  # .89, 2.9 s
    | _blocks(2, 2, 20, 2.0, dropout=0.15)
    | {"activation": "gelu", "dense1_units": 128}
    | {"optimizer": "adamw", "learning_rate": 0.001, "adamw_beta_1": 0.9}
    | {"adamw_weight_decay": 0.01},
    BASELINE_PARAMETERS  # .88, 1.0 s
    | _blocks(3, 1, 24, 1.6)
    | {"activation": "leaky_relu"}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .88, 1.8 s
    | _blocks(3, 2, 16, 2.0, dropout=0.1)
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
)
