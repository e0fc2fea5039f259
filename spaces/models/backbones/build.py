"""A backbone as a Keras model with its weights; Keras is loaded on the first call."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from spaces.models.backbones.catalog import Backbone, find_backbone
from spaces.models.backbones.cost import check_image_size
from spaces.models.backbones.download import fetch_imagenet_weights
from spaces.models.backbones.scaling import disable_builtin_scaling, match_imagenet_scaling
from spaces.models.backbones.weight_files import load_weights
from spaces.models.backbones.weights import RANDOM, Weights

if TYPE_CHECKING:
    import keras

RANDOM_SEED = 20150131
"""Where all random backbones start, so that all trials share their features."""

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def build_backbone(
    name: str, image_shape: tuple[int, int, int], weights: Weights
) -> "keras.Model":
    """Build a frozen backbone without its top, for pixels scaled by `preprocess`.

    Call it with `training=False`, so that its batch normalizations stay in inference mode.

    Args:
        name: A name that `find_backbone` accepts.
        image_shape: Height, width, and 3 channels.
        weights: Where its weights come from.

    Raises:
        SpaceError: If the images are too small, or the weights cannot be had or do not fit.
    """
    import keras

    backbone = find_backbone(name)
    check_image_size(backbone, image_shape[:2])
    build = getattr(keras.applications, backbone.keras_name)
    model = build(weights=None, include_top=False, input_shape=image_shape)
    model.name = backbone.name  # as an argument, EfficientNetV2 takes it for the kind of network
    _set_weights(model, backbone, image_shape[:2], weights)
    unfreeze_top(model, 0)
    return model


def unfreeze_top(model: "keras.Model", n_layers: int) -> None:
    """Make the top of a backbone trainable, and nothing else of it.

    From the n-th last layer with a kernel on, in the order of `model.layers`, every layer is
    trainable except batch normalizations and those that scale pixels.

    Args:
        model: A backbone.
        n_layers: Layers with kernels to unfreeze; more than there are means all, 0 none.
    """
    import keras

    never = (
        keras.layers.BatchNormalization,
        keras.layers.Normalization,
        keras.layers.Rescaling,
    )
    layers = list(leaf_layers(model))
    with_kernels = [index for index, layer in enumerate(layers) if has_kernel(layer)]
    first = with_kernels[-min(n_layers, len(with_kernels))] if n_layers else len(layers)
    model.trainable = True  # a model inside that is frozen would hide its unfrozen layers
    for index, layer in enumerate(layers):
        layer.trainable = index >= first and not isinstance(layer, never)


def leaf_layers(model: "keras.Model") -> "Iterator[keras.Layer]":
    """Yield the layers of a model in order, those of nested models in their place."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def has_kernel(layer: "keras.Layer") -> bool:
    """Whether a layer is a convolution of any kind, or dense."""
    return any(hasattr(layer, name) for name in _KERNELS)


def _set_weights(
    model: "keras.Model", backbone: Backbone, image_size: tuple[int, int], weights: Weights
) -> None:
    if weights.source == RANDOM:
        _draw_weights(model)
        return
    path = weights.path or fetch_imagenet_weights(backbone, image_size)
    load_weights(model, path)
    if weights.mode is None:
        match_imagenet_scaling(backbone, leaf_layers(model))
    else:
        disable_builtin_scaling(leaf_layers(model))


def _draw_weights(model: "keras.Model") -> None:
    """Draw all kernels again, each from a seed of its own; Keras' draw has no fixed one."""
    for index, layer in enumerate(leaf_layers(model)):
        for name in _KERNELS:
            kernel = getattr(layer, name, None)
            if kernel is not None:
                initializer = _initializer(layer, name)
                config = initializer.get_config() | {"seed": RANDOM_SEED + index}
                kernel.assign(type(initializer).from_config(config)(kernel.shape))


def _initializer(layer: Any, kernel_name: str) -> Any:
    """Return the initializer of a kernel, whose name depends on the kind of layer."""
    name = kernel_name.replace("kernel", "initializer")
    if name == "initializer":
        is_depthwise = hasattr(layer, "depthwise_initializer")
        name = "depthwise_initializer" if is_depthwise else "kernel_initializer"
    return getattr(layer, name)
