"""A whole network from a config, with any toolbox of layers."""

from typing import TYPE_CHECKING, TypeVar

from spaces.models.blocks import classify
from spaces.models.layers import Layers

if TYPE_CHECKING:  # Config imports the families, and those import this package
    from spaces.config import Config

T = TypeVar("T")


def build_network(x: T, config: "Config", n_classes: int, layers: Layers[T]) -> T:
    """Build a network, and return the class probabilities of the images `x`."""
    features = config.network.build(x, layers)
    return classify(features, config.head, n_classes, layers)
