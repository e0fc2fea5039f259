"""Groups of layers that families share, as plain functions: tensor in, tensor out."""

from typing import TypeVar

from spaces.models.layers import Layers
from spaces.network_settings import Head

T = TypeVar("T")


def conv_block(
    x: T, channels: int, kernel_size: int, layers: Layers[T], *, strides: int = 1, name: str
) -> T:
    """Apply a convolution, batch normalization if the settings say so, and the activation."""
    x = layers.conv2d(x, channels, kernel_size, strides=strides, name=name)
    return activate(x, layers, name=name)


def activate(x: T, layers: Layers[T], *, name: str) -> T:
    """Apply batch normalization if the settings say so, then the activation."""
    return layers.activation(normalize(x, layers, name=name), name=f"{name}_activation")


def normalize(x: T, layers: Layers[T], *, name: str) -> T:
    """Apply batch normalization if the settings say so."""
    return layers.batch_norm(x, name=f"{name}_norm") if layers.settings.batch_normalization else x


def apply_dropout(x: T, rate: float, layers: Layers[T], *, name: str) -> T:
    """Apply dropout, unless the rate is 0."""
    return layers.dropout(x, rate, name=f"{name}_dropout") if rate else x


def hidden_layer(x: T, units: int, layers: Layers[T], *, name: str) -> T:
    """Apply a dense layer, its activation, and dropout if the settings say so."""
    x = layers.dense(x, units, name=name)
    x = layers.activation(x, name=f"{name}_activation")
    return apply_dropout(x, layers.settings.dropout, layers, name=name)


def classify(x: T, head: Head, n_classes: int, layers: Layers[T]) -> T:
    """Classify feature maps: pooling, hidden dense layers, softmax."""
    pool = layers.flatten if head.pooling == "flatten" else layers.global_average
    x = apply_dropout(pool(x, name=head.pooling), layers.settings.dropout, layers, name="head")
    for number, units in enumerate(head.dense_units, start=1):
        x = hidden_layer(x, units, layers, name=f"dense{number}")
    return layers.probabilities(x, n_classes, name="probabilities")
