"""Grad-CAM: which places of an image spoke for the class that a network took it for.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", https://arxiv.org/abs/1610.02391.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from spaces.models.backbones.build import has_kernel

N_MISTAKES = 12
N_CORRECT = 8
BATCH_SIZE = 8
"""Images at once: few, for whatever the last layers compute is kept until their gradient is."""


def choose_images(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the positions of the images whose heat maps tell most.

    They are the up to 12 most confident mistakes, most confident first, then of each of the first
    8 classes the most confident right answer, where it has any.

    Args:
        probabilities: Of the classes, shape `(n, n_classes)`.
        labels: The true classes, shape `(n,)`.
    """
    by_confidence = np.argsort(-probabilities.max(axis=1), kind="stable")
    is_correct = (probabilities.argmax(axis=1) == labels)[by_confidence]
    right, wrong = by_confidence[is_correct], by_confidence[~is_correct]
    of_classes = [right[labels[right] == label][:1] for label in range(N_CORRECT)]
    return np.concatenate([wrong[:N_MISTAKES], *of_classes])


def heat_maps(
    model: keras.Model, images: NDArray[Any], classes: NDArray[np.int64]
) -> NDArray[np.uint8] | None:
    """Return the Grad-CAM of a class for each image, None if no map of the network has places.

    The gradient is of the class's logit: that of a probability vanishes where the network is
    sure.

    Args:
        model: A network of ours: features, pooling or flattening, dense layers, and a last dense
            layer with a softmax.
        images: Raw pixels, shape `(k, height, width, channels)`.
        classes: The class to explain for each image, shape `(k,)`.

    Returns:
        Shape `(k, height, width)`, 0 to 255, each map scaled to its own maximum. A map that is
        nowhere above zero is all 0.
    """
    network = _build_feature_model(model)
    if network is None:
        return None
    parts = [np.empty((0, *images.shape[1:3]), np.uint8)]
    for start in range(0, len(images), BATCH_SIZE):
        here = slice(start, start + BATCH_SIZE)
        raw = _raw_maps(network, model.layers[-1], images[here], classes[here])
        parts.append(_to_uint8(raw, images.shape[1:3]))
    return np.concatenate(parts)


def _raw_maps(
    network: keras.Model, last: keras.layers.Dense, images: Any, classes: Any
) -> tf.Tensor:
    """The paper's equations 1 and 2, at the size of the feature map."""
    with tf.GradientTape() as tape:
        pixels = tf.cast(images, tf.float32)
        tape.watch(pixels)  # A frozen backbone has nothing else that is watched.
        features, vector = network(pixels, training=False)
        logits = tf.linalg.matmul(vector, last.kernel) + last.bias
        chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    gradient = tape.gradient(chosen, features)
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))


def _to_uint8(raw: tf.Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize maps of shape `(k, h, w, 1)` and scales each to its own maximum."""
    maps = np.nan_to_num(tf.image.resize(raw, size, "bilinear").numpy()[..., 0], posinf=0.0)
    highest = maps.max(axis=(1, 2), keepdims=True)
    scaled = np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)
    levels: NDArray[np.uint8] = np.rint(255 * scaled).astype(np.uint8)
    return levels


def _build_feature_model(model: keras.Model) -> keras.Model | None:
    """Make a network of the same layers that gives its last map with places and its last vector.

    A map of one pixel has no places. Then the last one before it is taken, which may lie within a
    backbone.
    """
    last = model.layers[-1]
    operations = list(model.operations)
    pool = next((it for it in operations if isinstance(it, _POOLS)), None)
    if pool is None:
        return None
    if _is_spatial(pool.input):
        return keras.Model(model.input, [pool.input, last.input])
    before = operations[: operations.index(pool)]
    for found in _spatial_outputs(before):
        return keras.Model(model.input, [found, last.input])
    for place, operation in enumerate(before):
        if isinstance(operation, keras.Model):
            return _build_inner_feature_model(
                model, operation, before[place - 1].output, pool.input
            )
    return None


def _build_inner_feature_model(
    model: keras.Model, backbone: keras.Model, scaled: Any, features: Any
) -> keras.Model | None:
    """The same, where the last map with places is one that the backbone keeps inside."""
    for found in _spatial_outputs(backbone.operations):
        inside = keras.Model(backbone.input, [found, backbone.output])
        feature_map, result = inside(keras.Model(model.input, scaled)(model.input))
        head = keras.Model(features, model.layers[-1].input)
        return keras.Model(model.input, [feature_map, head(result)])
    return None


def _spatial_outputs(operations: list[Any]) -> Iterator[Any]:
    """Feature maps with places, last first, down to the first layer with a kernel."""
    first = next((n for n, it in enumerate(operations) if has_kernel(it)), len(operations))
    for operation in reversed(operations[first:]):
        inside = isinstance(operation, keras.Model | keras.layers.ZeroPadding2D)
        if not inside and _is_spatial(operation.output):
            yield operation.output


def _is_spatial(x: Any) -> bool:
    return len(getattr(x, "shape", ())) == 4 and x.shape[1] * x.shape[2] > 1


_POOLS = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D)
