"""The networks of each family, as calls on a toolbox of layers; users' families import from here.

Turning a config into a Keras model is in `spaces.keras_models`. Importing this does not load
Keras.
"""

from spaces.models.blocks import conv_block, hidden_layer
from spaces.models.layers import Layers, Network

__all__ = ["Layers", "Network", "conv_block", "hidden_layer"]
