"""From a config to a Keras model: layers, extractor, head and optimizer.

What a family stacks is in `spaces.models`; importing this does not load Keras, building does.
"""

from spaces.keras_models.model import build_extractor, build_head, build_model, build_optimizer

__all__ = ["build_extractor", "build_head", "build_model", "build_optimizer"]
