"""The layers with which some backbones scale pixels: EfficientNet, ConvNeXt and others.

Weights of the backbone's own mode expect this scaling as Keras builds it for its ImageNet weights.
Weights of another mode expect pixels scaled by `preprocess`, and no further scaling.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spaces.models.backbones.catalog import Backbone

if TYPE_CHECKING:
    import keras

_STD = (0.229, 0.224, 0.225)


def match_imagenet_scaling(backbone: Backbone, layers: "Iterable[keras.Layer]") -> None:
    """Scale pixels as Keras does for its own ImageNet weights.

    The first EfficientNets were trained on pixels divided by a variance of which Keras takes the
    root, so for `imagenet` weights only it adds a layer that divides by the root again
    (https://github.com/tensorflow/tensorflow/issues/49930). Here the variance is adapted instead,
    so that the same weights from a file give the same features.
    """
    import keras

    if not backbone.keras_name.startswith("EfficientNetB"):
        return
    for layer in layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.adapt_variance.assign(layer.adapt_variance * keras.ops.array(_STD))
            layer.finalize_state()


def disable_builtin_scaling(layers: "Iterable[keras.Layer]") -> None:
    """Turn a network's own scaling of pixels into the identity."""
    import keras

    for layer in layers:
        if isinstance(layer, keras.layers.Rescaling):
            layer.scale, layer.offset = 1.0, 0.0
        elif isinstance(layer, keras.layers.Normalization):
            _make_identity(layer)


def _make_identity(layer: "keras.layers.Normalization") -> None:
    import keras

    if layer.input_mean is not None:
        layer.input_mean, layer.input_variance = [0.0] * 3, [1.0] * 3  # what a saved model holds
        layer.mean = keras.ops.zeros_like(layer.mean)
        layer.variance = keras.ops.ones_like(layer.variance)
        return
    layer.adapt_mean.assign(keras.ops.zeros_like(layer.adapt_mean))
    layer.adapt_variance.assign(keras.ops.ones_like(layer.adapt_variance))
    layer.finalize_state()
