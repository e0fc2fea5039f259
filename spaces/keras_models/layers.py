"""The toolbox that makes Keras layers, each with its own seeds."""

import hashlib
from collections.abc import Sequence

import keras
from keras import KerasTensor

from spaces.models.backbones import (
    RANDOM_WEIGHTS,
    Weights,
    build_backbone,
    find_backbone,
    preprocess,
    unfreeze_top,
)
from spaces.models.layers import Padding, check_window
from spaces.network_settings import LayerSettings


class KerasLayers:
    """The methods of `spaces.models.Layers` over Keras tensors.

    Initializers and dropout are seeded by the network's seed and the layer's name, so that a
    layer's draw does not depend on the rest of the network.
    """

    def __init__(
        self, settings: LayerSettings, seed: int, weights: Weights = RANDOM_WEIGHTS
    ) -> None:
        self.settings = settings
        self._seed = seed
        self._backbone_weights = weights

    def channels(self, x: KerasTensor) -> int:
        return int(x.shape[-1])

    def conv2d(
        self, x: KerasTensor, channels: int, kernel_size: int, *, strides: int = 1, name: str
    ) -> KerasTensor:
        check_window(x.shape[1], x.shape[2], strides, name=name)
        layer = keras.layers.Conv2D(
            channels,
            kernel_size,
            strides=strides,
            padding="same",
            name=name,
            **self._weights(name),
        )
        return layer(x)

    def max_pool(
        self,
        x: KerasTensor,
        pool_size: int,
        *,
        strides: int | None = None,
        padding: Padding = "valid",
        name: str,
    ) -> KerasTensor:
        window = pool_size if padding == "valid" else strides or pool_size
        check_window(x.shape[1], x.shape[2], window, name=name)
        return keras.layers.MaxPooling2D(pool_size, strides, padding, name=name)(x)

    def average_pool(self, x: KerasTensor, pool_size: int, *, name: str) -> KerasTensor:
        check_window(x.shape[1], x.shape[2], pool_size, name=name)
        return keras.layers.AveragePooling2D(pool_size, name=name)(x)

    def add(self, xs: Sequence[KerasTensor], *, name: str) -> KerasTensor:
        return keras.layers.Add(name=name)(list(xs))

    def concatenate(self, xs: Sequence[KerasTensor], *, name: str) -> KerasTensor:
        return keras.layers.Concatenate(name=name)(list(xs))

    def batch_norm(self, x: KerasTensor, *, name: str) -> KerasTensor:
        return keras.layers.BatchNormalization(name=name)(x)

    def activation(self, x: KerasTensor, *, name: str) -> KerasTensor:
        return keras.layers.Activation(self.settings.activation, name=name)(x)

    def dropout(self, x: KerasTensor, rate: float, *, name: str) -> KerasTensor:
        seed = self._seed_of(name, "dropout")
        return keras.layers.Dropout(rate, seed=seed, name=name)(x)

    def backbone(self, x: KerasTensor, backbone: str, unfrozen_layers: int) -> KerasTensor:
        weights = self._backbone_weights
        scaled = preprocess(x, weights.mode_for(find_backbone(backbone)))
        model = build_backbone(backbone, (scaled.shape[1], scaled.shape[2], 3), weights)
        unfreeze_top(model, unfrozen_layers)
        return model(scaled, training=False)

    def flatten(self, x: KerasTensor, *, name: str) -> KerasTensor:
        return keras.layers.Flatten(name=name)(x)

    def global_average(self, x: KerasTensor, *, name: str) -> KerasTensor:
        return keras.layers.GlobalAveragePooling2D(name=name)(x)

    def dense(self, x: KerasTensor, units: int, *, name: str) -> KerasTensor:
        return keras.layers.Dense(units, name=name, **self._weights(name))(x)

    def probabilities(self, x: KerasTensor, n_classes: int, *, name: str) -> KerasTensor:
        weights = self._weights(name)
        return keras.layers.Dense(n_classes, activation="softmax", name=name, **weights)(x)

    def draw_orthogonal_biases(self, model: keras.Model) -> None:
        """Set every bias to a one-row orthogonal draw, which is a random direction of length 1.

        Keras' own initializer refuses one dimension, and plain Keras could not load a model with a
        custom one: so the layers start with zeros, and the draw is assigned afterwards.
        """
        for layer in model.layers:
            if getattr(layer, "bias", None) is not None:
                seed = self._seed_of(layer.name, "bias")
                row = keras.initializers.Orthogonal(seed=seed)((1, layer.bias.shape[0]))
                layer.bias.assign(row[0])

    def _weights(self, name: str) -> dict[str, object]:
        return {
            "kernel_initializer": self._initializer(self.settings.kernel_initializer, name),
            "bias_initializer": self._bias_initializer(name),
            "kernel_regularizer": self._regularizer(),
        }

    def _initializer(self, kind: str, name: str, weight: str = "kernel") -> object:
        seed = self._seed_of(name, weight)
        return keras.initializers.get({"class_name": kind, "config": {"seed": seed}})

    def _bias_initializer(self, name: str) -> object:
        kind = self.settings.bias_initializer
        return "zeros" if kind == "orthogonal" else self._initializer(kind, name, "bias")

    def _regularizer(self) -> object:
        penalty = self.settings.regularizer
        if not penalty.l1 and not penalty.l2:
            return None
        return keras.regularizers.L1L2(l1=penalty.l1, l2=penalty.l2)

    def _seed_of(self, name: str, use: str) -> int:
        digest = hashlib.sha256(f"{self._seed}/{name}/{use}".encode()).digest()
        return int.from_bytes(digest[:4]) >> 1  # Keras takes 31 bits
