"""Layer groups that families share, as plain functions: tensor in, tensor out."""

from typing import TypeVar

from spaces.models.layers import Layers
from spaces.settings import Head

T = TypeVar("T")


def conv_block(x: T, channels: int, kernel_size: int, layers: Layers[T], *, name: str) -> T:
    """A convolution, normalized where the settings say so, and its activation."""
    x = layers.conv2d(x, channels, kernel_size, name=name)
    if layers.settings.batch_normalization:
        x = layers.batch_norm(x, name=f"{name}_norm")
    return layers.activation(x, name=f"{name}_activation")


def dense_block(x: T, units: int, layers: Layers[T], *, name: str) -> T:
    """A dense layer, its activation, and dropout where the settings say so."""
    x = layers.dense(x, units, name=name)
    x = layers.activation(x, name=f"{name}_activation")
    return drop(x, layers, name=f"{name}_dropout")


def drop(x: T, layers: Layers[T], *, name: str) -> T:
    """Dropout, or nothing at a rate of 0."""
    return layers.dropout(x, name=name) if layers.settings.dropout else x


def classify(x: T, head: Head, n_classes: int, layers: Layers[T]) -> T:
    """Class probabilities from feature maps: pooling, hidden dense layers, softmax."""
    pool = layers.flatten if head.pooling == "flatten" else layers.global_average
    x = drop(pool(x, name=head.pooling), layers, name="head_dropout")
    for number, units in enumerate(head.dense_units, start=1):
        x = dense_block(x, units, layers, name=f"dense{number}")
    return layers.probabilities(x, n_classes, name="probabilities")
