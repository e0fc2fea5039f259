"""The family `transfer`: pretrained backbones with a new head, trained in two phases."""

from collections.abc import Mapping, Sequence

from spaces.draw import Draw
from spaces.families.registry import Family, register_family
from spaces.models.backbones import BACKBONES, find_backbone
from spaces.models.transfer import TransferNetwork
from spaces.parameters import Choices, Domain, FloatRange, IntRange, Value
from spaces.settings import Head

MAX_UNFROZEN_LAYERS = 64


@register_family("transfer")
class Transfer(Family):
    """A head on a frozen backbone, then the head and the top of the backbone together."""

    network = TransferNetwork
    n_phases = 2
    image_set = "transfer"

    def parameters(self) -> dict[str, Domain]:
        """The backbone, how much of it is fine-tuned, and at which part of the learning rate."""
        return {
            "backbone": Choices(BACKBONES),
            "unfrozen_layers": IntRange(1, MAX_UNFROZEN_LAYERS, log=True),
            "fine_tuning_rate": FloatRange(0.003, 0.5, log=True),
        }

    def suggest(self, draw: Draw) -> TransferNetwork:
        """A backbone; more layers than it has are all that it has."""
        backbone = find_backbone(draw.one_of("backbone", BACKBONES))
        return TransferNetwork(
            backbone=backbone.name,
            unfrozen_layers=min(draw.integer("unfrozen_layers"), backbone.n_layers),
            fine_tuning_rate=draw.number("fine_tuning_rate"),
        )

    def unused(self, head: Head) -> Mapping[str, Value]:
        """The head has no normalization, and only hidden layers have an activation."""
        normalization: dict[str, Value] = {"batch_normalization": False}
        return normalization if head.dense_units else {**normalization, "activation": "relu"}

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        """Heads and rates that do well on a few thousand grey images."""
        return _KNOWN_GOOD


_KNOWN_GOOD: tuple[dict[str, Value], ...] = ()
