"""Scaling of raw pixels for a backbone's weights, by Keras layers inside the model."""

from typing import TYPE_CHECKING

from spaces.models.backbones.catalog import Mode

if TYPE_CHECKING:
    import keras

# Factors and offsets of `keras.applications.imagenet_utils.preprocess_input`, for pixels 0 to 255.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SCALES: dict[Mode, tuple[list[float], list[float]]] = {
    "tf": ([1 / 127.5] * 3, [-1.0] * 3),
    "torch": (
        [1 / (255 * std) for std in _STD],
        [-mean / std for mean, std in zip(_MEAN, _STD, strict=True)],
    ),
    "caffe": ([1.0] * 3, [-103.939, -116.779, -123.68]),  # blue, green, red
}


def preprocess(x: "keras.KerasTensor", mode: Mode) -> "keras.KerasTensor":
    """Scale gray or RGB pixels, 0 to 255, to three channels as weights of a mode expect them.

    `tf` means from -1 to 1, `torch` normalized by the mean and deviation of ImageNet, `caffe` blue
    first and centered, and `none` unchanged. Shapes are `(batch, height, width, channels)`.
    """
    import keras

    if x.shape[-1] == 1:
        x = keras.layers.Concatenate(name="three_channels")([x, x, x])
    elif mode == "caffe":
        x = keras.ops.flip(x, axis=-1)
    if mode == "none":
        return x
    scale, offset = _SCALES[mode]
    return keras.layers.Rescaling(scale, offset, name=f"{mode}_pixels")(x)
