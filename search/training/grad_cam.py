"""Grad-CAM: which regions of an image contributed to its predicted class.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", https://arxiv.org/abs/1610.02391.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from search.trainer.predictions import N_MISTAKES
from spaces.models.backbones.build import has_kernel

N_CORRECT = 8
BATCH_SIZE = 8  # Small, since the activations of the last layers are kept for the gradient.
_POOLS = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D)


def choose_images(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the positions of the images to show with heat maps.

    These are up to 12 mistakes, the most confident ones in this order, then the most confident
    correct image of each of the first 8 classes. `probabilities` has shape `(n, n_classes)`.
    """
    by_confidence = np.argsort(-probabilities.max(axis=1), kind="stable")
    is_correct = (probabilities.argmax(axis=1) == labels)[by_confidence]
    right, wrong = by_confidence[is_correct], by_confidence[~is_correct]
    of_classes = [right[labels[right] == label][:1] for label in range(N_CORRECT)]
    return np.concatenate([wrong[:N_MISTAKES], *of_classes])


def heat_maps(
    model: keras.Model, images: NDArray[Any], classes: NDArray[np.int64]
) -> NDArray[np.uint8] | None:
    """Return the Grad-CAM of a class for each image, None if no feature map is spatial.

    The gradient is that of the class's logit: the gradient of a probability vanishes where the
    network is confident. After its features, the model has pooling or flattening and dense layers,
    the last one with softmax. `images` are raw pixels, shape `(k, height, width, channels)`. The
    maps have shape `(k, height, width)`, 0 to 255, each scaled to its own maximum; a map that is
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
    """Compute the paper's equations 1 and 2, at the size of the feature map."""
    with tf.GradientTape() as tape:
        pixels = tf.cast(images, tf.float32)
        tape.watch(pixels)  # A frozen backbone has no trainable variable to watch.
        features, vector = network(pixels, training=False)
        logits = tf.linalg.matmul(vector, last.kernel) + last.bias
        chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    gradient = tape.gradient(chosen, features)
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))


def _to_uint8(raw: tf.Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize maps of shape `(k, h, w, 1)`, and scale each to its own maximum."""
    maps = np.nan_to_num(tf.image.resize(raw, size, "bilinear").numpy()[..., 0], posinf=0.0)
    highest = maps.max(axis=(1, 2), keepdims=True)
    scaled = np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)
    levels: NDArray[np.uint8] = np.rint(255 * scaled).astype(np.uint8)
    return levels


def _build_feature_model(model: keras.Model) -> keras.Model | None:
    """Build a network of the same layers that returns the last spatial map and the last vector.

    If the last feature map is a single pixel, the last larger one before it is taken, which may
    lie within a backbone.
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
    """Build the same network where the last spatial map is inside the backbone."""
    for found in _spatial_outputs(backbone.operations):
        inside = keras.Model(backbone.input, [found, backbone.output])
        feature_map, result = inside(keras.Model(model.input, scaled)(model.input))
        head = keras.Model(features, model.layers[-1].input)
        return keras.Model(model.input, [feature_map, head(result)])
    return None


def _spatial_outputs(operations: list[Any]) -> Iterator[Any]:
    """Yield spatial feature maps, last first, down to the first layer with a kernel."""
    first = next((n for n, it in enumerate(operations) if has_kernel(it)), len(operations))
    for operation in reversed(operations[first:]):
        inside = isinstance(operation, keras.Model | keras.layers.ZeroPadding2D)
        if not inside and _is_spatial(operation.output):
            yield operation.output


def _is_spatial(x: Any) -> bool:
    return len(getattr(x, "shape", ())) == 4 and x.shape[1] * x.shape[2] > 1
