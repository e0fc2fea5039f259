"""How a config becomes a network; importing this does not load Keras, building does."""

from spaces.models.blocks import conv_block, hidden_layer
from spaces.models.build import build_extractor, build_head, build_model, build_optimizer
from spaces.models.layers import Layers, Network

__all__ = [
    "Layers",
    "Network",
    "build_extractor",
    "build_head",
    "build_model",
    "build_optimizer",
    "conv_block",
    "hidden_layer",
]
