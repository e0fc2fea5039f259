"""A whole network: the feature maps of its family, and the head, with any toolbox of layers."""

from typing import TypeVar

from spaces.models.blocks import classify
from spaces.models.layers import Layers, Network
from spaces.network_settings import Head

T = TypeVar("T")


def build_network(x: T, network: Network, head: Head, n_classes: int, layers: Layers[T]) -> T:
    """Build a network, and return the class probabilities of the images `x`."""
    return classify(network.build(x, layers), head, n_classes, layers)
