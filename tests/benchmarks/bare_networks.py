"""A network of each family written by hand in bare Keras, and the parameters of the same network.

`family_speed.py` compares the two; nothing here uses `spaces`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers as kl

WEIGHTS: Mapping[str, str] = {
    "kernel_initializer": "he_normal",
    "bias_initializer": "he_uniform",
}
COMMON: Mapping[str, Any] = {
    "head": "flatten",
    "dense_layers": 1,
    "dense1_units": 64,
    **WEIGHTS,
    "activation": "relu",
    "batch_normalization": True,
    "dropout": 0.2,
    "block_dropout": 0.1,
    "regularizer": "none",
    "batch_size": 32,
    "augmentation": False,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "adam_beta_1": 0.9,
}
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "plain": {
        "stages": 2,
        **{f"stage{i}_{name}": value for i in (1, 2) for name, value in (
            ("convs", 1), ("channels", 16 * i), ("kernel_size", 3), ("pool", True),
            ("pool_size", 2),
        )},
    },
    "vgg": {"vgg_blocks": 3, "vgg_convs": 2, "vgg_width": 16, "vgg_width_growth": 2.0},
    "inception": {
        "inception_stages": 2,
        "inception_blocks": 1,
        "inception_width": 32,
        "inception_width_growth": 2.0,
        "inception_parts_1x1": 2,
        "inception_parts_3x3": 4,
        "inception_parts_5x5": 1,
        "inception_parts_pool": 1,
        "inception_reduction": 0.5,
    },
    "residual": {
        "residual_stages": 3,
        "residual_blocks": 1,
        "residual_width": 16,
        "residual_width_growth": 2.0,
        "residual_bottleneck": False,
        "residual_version": "v2",
    },
    "dense": {
        "densenet_blocks": 3,
        "densenet_layers": 2,
        "densenet_growth_rate": 12,
        "densenet_compression": 0.5,
        "densenet_bottleneck": True,
    },
    "transfer": {"backbone": "mobilenet_v2", "unfrozen_layers": 12, "fine_tuning_rate": 0.1},
}  # fmt: skip


def build_bare(
    family: str, shape: tuple[int, int, int], n_classes: int, mean: list[float], std: list[float]
) -> Any:
    """Return the uncompiled network of a family, from raw pixels to probabilities."""
    images = x = keras.Input(shape)
    if family != "transfer":  # A backbone scales pixels itself.
        offsets = [-m / s for m, s in zip(mean, std, strict=True)]
        x = kl.Rescaling([1 / s for s in std], offsets)(images)
    x = BODIES[family](x)
    x = kl.Dropout(0.2)(kl.Flatten()(x))
    x = kl.Dropout(0.2)(kl.Activation("relu")(kl.Dense(64, **WEIGHTS)(x)))
    return keras.Model(images, kl.Dense(n_classes, activation="softmax", **WEIGHTS)(x))


def conv(x: Any, channels: int, size: int = 3, strides: int = 1) -> Any:
    return kl.Conv2D(channels, size, strides=strides, padding="same", **WEIGHTS)(x)


def norm_relu(x: Any) -> Any:
    return kl.Activation("relu")(kl.BatchNormalization()(x))


def conv_norm_relu(x: Any, channels: int, size: int = 3) -> Any:
    return norm_relu(conv(x, channels, size))


def plain(x: Any) -> Any:
    for channels in (16, 32):
        x = kl.MaxPooling2D()(conv_norm_relu(x, channels))
    return x


def vgg(x: Any) -> Any:
    for channels in (16, 32, 64):
        x = conv_norm_relu(conv_norm_relu(x, channels), channels)
        x = kl.Dropout(0.1)(kl.MaxPooling2D()(x))
    return x


def inception(x: Any) -> Any:
    x = inception_block(conv_norm_relu(x, 16), 1)
    return inception_block(kl.MaxPooling2D(3, 2, "same")(x), 2)


def inception_block(x: Any, scale: int) -> Any:
    branches = [
        conv_norm_relu(x, 8 * scale, 1),
        conv_norm_relu(conv_norm_relu(x, 8 * scale, 1), 16 * scale, 3),
        conv_norm_relu(conv_norm_relu(x, 2 * scale, 1), 4 * scale, 5),
        conv_norm_relu(kl.MaxPooling2D(3, 1, "same")(x), 4 * scale, 1),
    ]
    return kl.Dropout(0.1)(kl.Concatenate()(branches))


def residual(x: Any) -> Any:
    x = conv(x, 16)
    for channels, strides in ((16, 1), (32, 2), (64, 2)):
        before = norm_relu(x)
        y = norm_relu(conv(before, channels, 3, strides))
        y = conv(kl.Dropout(0.1)(y), channels)
        x = kl.Add()([conv(before, channels, 1, strides) if strides > 1 else x, y])
    return norm_relu(x)


def dense(x: Any) -> Any:
    x = conv(x, 24)
    for block in range(3):
        if block:
            x = kl.Dropout(0.1)(conv(norm_relu(x), x.shape[-1] // 2, 1))
            x = kl.AveragePooling2D(2)(x)
        for _ in range(2):
            y = kl.Dropout(0.1)(conv(norm_relu(x), 48, 1))
            y = kl.Dropout(0.1)(conv(norm_relu(y), 12))
            x = kl.Concatenate()([x, y])
    return norm_relu(x)


def transfer(x: Any) -> Any:
    x = kl.Rescaling(1 / 127.5, -1)(kl.Concatenate()([x, x, x]))
    backbone = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=x.shape[1:]
    )
    kernels = (kl.Conv2D, kl.DepthwiseConv2D)
    first = [i for i, it in enumerate(backbone.layers) if isinstance(it, kernels)][-12]
    for i, layer in enumerate(backbone.layers):
        layer.trainable = i >= first and not isinstance(layer, kl.BatchNormalization)
    return backbone(x, training=False)


BODIES: Mapping[str, Callable[[Any], Any]] = {
    "plain": plain,
    "vgg": vgg,
    "inception": inception,
    "residual": residual,
    "dense": dense,
    "transfer": transfer,
}
