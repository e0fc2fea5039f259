"""Networks of the families, over a toolbox of layers; users' families import from here."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spaces.models.blocks import conv_block, hidden_layer
from spaces.models.layers import Layers, Network

if TYPE_CHECKING:
    from spaces.keras_models import build_extractor, build_head, build_model, build_optimizer

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


def __getattr__(name: str) -> Any:  # `build_...`: they are public here too, loaded on first use
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("spaces.keras_models"), name)
