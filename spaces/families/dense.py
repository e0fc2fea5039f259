"""The family `dense`: densely connected blocks, after Huang et al.

Its parameters begin with `densenet_`, since `dense_layers` and `dense1_units` are the head's.
"""

from collections.abc import Mapping, Sequence

from spaces.families.registry import Family, register_family
from spaces.models.dense import DenseNetwork
from spaces.parameters.domain_types import Domain, FloatRange, IntRange, Value
from spaces.parameters.head_and_optimizer import BASELINE_PARAMETERS, BLOCK_DROPOUT, BOOLEAN
from spaces.parameters.suggestion import Draw


@register_family("dense")
class Dense(Family):
    """Equal blocks with transitions between them."""

    network = DenseNetwork
    position = 5

    def parameters(self) -> dict[str, Domain]:
        return {
            "densenet_blocks": IntRange(1, 4),
            "densenet_layers": IntRange(1, 6),
            "densenet_growth_rate": IntRange(4, 24, log=True),
            "densenet_compression": FloatRange(0.4, 1.0),
            "densenet_bottleneck": BOOLEAN,
            "block_dropout": BLOCK_DROPOUT,
        }

    def suggest(self, draw: Draw) -> DenseNetwork:
        """Draw a network; compression acts only where there are transitions."""
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
        return _KNOWN_GOOD


def _blocks(n_blocks: int, growth_rate: int, compression: float) -> dict[str, Value]:
    """Return parameters of blocks of two layers each, without bottleneck or dropout."""
    return {
        "densenet_blocks": n_blocks,
        "densenet_layers": 2,
        "densenet_growth_rate": growth_rate,
        "densenet_compression": compression,
        "densenet_bottleneck": False,
        "block_dropout": 0.0,
    }


# Best validation accuracy in 12 epochs on 1,960 brain MRI of 32 pixels; time per epoch on a core.
_KNOWN_GOOD: tuple[dict[str, Value], ...] = (
    BASELINE_PARAMETERS  # .90, 4.4 s
    | _blocks(3, 12, 0.5)
    | {"batch_normalization": True}
    | {"optimizer": "adam", "learning_rate": 0.001, "adam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .89, 2.8 s
    | _blocks(3, 10, 0.7)
    | {"activation": "elu", "kernel_initializer": "glorot_uniform", "dropout": 0.2}
    | {"optimizer": "sgd", "sgd_learning_rate": 0.01, "sgd_momentum": 0.9, "sgd_nesterov": True},
    BASELINE_PARAMETERS  # .88, 2.8 s
    | _blocks(3, 8, 0.5)
    | {"batch_normalization": True}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
    BASELINE_PARAMETERS  # .87, 2.4 s
    | _blocks(3, 10, 0.5)
    | {"activation": "leaky_relu"}
    | {"optimizer": "nadam", "learning_rate": 0.0015, "nadam_beta_1": 0.9},
)
