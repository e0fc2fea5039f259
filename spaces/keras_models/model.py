"""A config as a Keras model and a Keras optimizer; Keras is loaded on the first call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spaces.models.backbones import (
    RANDOM_WEIGHTS,
    Weights,
    build_backbone,
    find_backbone,
    preprocess,
)
from spaces.models.network import build_network
from spaces.models.transfer import TransferNetwork
from spaces.network_settings import SGD, Adam, AdamW, Nadam

if TYPE_CHECKING:  # Config imports the families, and those import this package
    import keras

    from spaces.config import Config


def build_model(
    config: "Config",
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    seed: int,
    mean: Sequence[float],
    std: Sequence[float],
    weights: Weights = RANDOM_WEIGHTS,
) -> "keras.Model":
    """Build an uncompiled network from raw pixels to class probabilities.

    The same arguments give the same weights, bit for bit. `image_shape` is height, width and
    channels. The model itself normalizes pixels, 0 to 255, by the `mean` and `std` of each
    channel; with a pretrained backbone it scales them as `weights` expect instead.

    Raises:
        SpaceError: If the images are too small for the network, or the weights are unavailable.
    """
    import keras

    from spaces.keras_models.layers import KerasLayers

    layers = KerasLayers(config.layers, seed, weights)
    images = x = keras.Input(image_shape, dtype="float32", name="image")
    if not isinstance(config.network, TransferNetwork):
        x = keras.layers.Rescaling(
            scale=[1 / s for s in std],
            offset=[-m / s for m, s in zip(mean, std, strict=True)],
            name="normalize",
        )(images)
    probabilities = build_network(x, config.network, config.head, n_classes, layers)
    model = keras.Model(images, probabilities, name=config.family)
    if config.layers.bias_initializer == "orthogonal":
        layers.draw_orthogonal_biases(model)
    return model


def build_extractor(
    backbone: str, image_shape: tuple[int, int, int], weights: Weights
) -> "keras.Model":
    """Build a frozen backbone from raw pixels to feature maps, as in `build_model`.

    Raises:
        SpaceError: If the images are too small, or the weights are unavailable or do not fit.
    """
    import keras

    images = keras.Input(image_shape, dtype="float32", name="image")
    scaled = preprocess(images, weights.mode_for(find_backbone(backbone)))
    model = build_backbone(backbone, (*image_shape[:2], 3), weights)
    return keras.Model(images, model(scaled, training=False), name="extractor")


def build_head(
    config: "Config", feature_shape: tuple[int, int, int], n_classes: int, *, seed: int
) -> "keras.Model":
    """Build only the head of a config, from feature maps to class probabilities.

    `feature_shape` is height, width and channels. The weights are those of the same head in
    `build_model` for the same seed.
    """
    import keras

    from spaces.keras_models.layers import KerasLayers
    from spaces.models.blocks import classify

    layers = KerasLayers(config.layers, seed)
    features = keras.Input(feature_shape, dtype="float32", name="features")
    model = keras.Model(features, classify(features, config.head, n_classes, layers), name="head")
    if config.layers.bias_initializer == "orthogonal":
        layers.draw_orthogonal_biases(model)
    return model


def build_optimizer(config: "Config") -> "keras.optimizers.Optimizer":
    """Build the optimizer of a config."""
    import keras

    chosen = config.optimizer
    rate = chosen.learning_rate
    match chosen:
        case SGD():
            return keras.optimizers.SGD(rate, momentum=chosen.momentum, nesterov=chosen.nesterov)
        case Adam():
            return keras.optimizers.Adam(rate, beta_1=chosen.beta_1)
        case AdamW():
            return keras.optimizers.AdamW(
                rate, beta_1=chosen.beta_1, weight_decay=chosen.weight_decay
            )
        case Nadam():
            return keras.optimizers.Nadam(rate, beta_1=chosen.beta_1)
        case _:
            return keras.optimizers.RMSprop(rate, rho=chosen.rho)
