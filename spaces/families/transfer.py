"""The family `transfer`: pretrained backbones with a new head, trained in two phases.

The backbones are loaded where they are used, since commands that only show networks load families.
"""

from collections.abc import Mapping, Sequence

from spaces.families.registry import Family, register_family
from spaces.models.transfer import TransferNetwork
from spaces.network_settings import Head
from spaces.parameters.domain_types import Choices, Domain, FloatRange, IntRange, Value
from spaces.parameters.head_and_optimizer import BASELINE_PARAMETERS
from spaces.parameters.suggestion import Draw

MAX_UNFROZEN_LAYERS = 64


@register_family("transfer")
class Transfer(Family):
    """A head on a frozen backbone, then the head and the top of the backbone together."""

    network = TransferNetwork
    position = 6
    is_default = False  # it may have to download weights
    n_phases = 2
    image_set = "transfer"

    def parameters(self) -> dict[str, Domain]:
        from spaces.models.backbones import BACKBONES

        return {
            "backbone": Choices(BACKBONES),
            "unfrozen_layers": IntRange(1, MAX_UNFROZEN_LAYERS, log=True),
            "fine_tuning_rate": FloatRange(0.003, 0.5, log=True),
        }

    def suggest(self, draw: Draw) -> TransferNetwork:
        """Draw a backbone; `unfrozen_layers` is capped at its number of layers."""
        from spaces.models.backbones import BACKBONES, find_backbone

        backbone = find_backbone(draw.one_of("backbone", BACKBONES))
        return TransferNetwork(
            backbone=backbone.name,
            unfrozen_layers=min(draw.integer("unfrozen_layers"), backbone.n_layers),
            fine_tuning_rate=draw.number("fine_tuning_rate"),
        )

    def unused(self, head: Head) -> Mapping[str, Value]:
        """Fix normalization, and without hidden layers also the activation."""
        normalization: dict[str, Value] = {"batch_normalization": False}
        return normalization if head.dense_units else {**normalization, "activation": "relu"}

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return _KNOWN_GOOD


_TRANSFER_BASELINE = BASELINE_PARAMETERS | {
    "kernel_initializer": "glorot_uniform",
    "bias_initializer": "glorot_uniform",
    "optimizer": "adam",
    "adam_beta_1": 0.9,
}

# Best validation accuracy of the head (12 epochs) and of fine-tuning (5 more) with MobileNetV2 on
# 1,960 brain MRI of 96 pixels.
_KNOWN_GOOD: tuple[dict[str, Value], ...] = (
    _TRANSFER_BASELINE  # .87, .90
    | {"head": "flatten", "dense_layers": 0, "dropout": 0.3, "learning_rate": 0.001}
    | {"unfrozen_layers": 25, "fine_tuning_rate": 0.1},
    _TRANSFER_BASELINE  # .88, .89
    | {"head": "flatten", "dense_layers": 1, "dense1_units": 128, "dropout": 0.4}
    | {"learning_rate": 0.001, "unfrozen_layers": 8, "fine_tuning_rate": 0.1},
    _TRANSFER_BASELINE  # .88
    | {"head": "global_average", "dense_layers": 0, "dropout": 0.2, "learning_rate": 0.003}
    | {"unfrozen_layers": 40, "fine_tuning_rate": 0.03},
    _TRANSFER_BASELINE  # .86
    | {"head": "global_average", "dense_layers": 1, "dense1_units": 128, "dropout": 0.3}
    | {"learning_rate": 0.001, "unfrozen_layers": 15, "fine_tuning_rate": 0.1},
)
