"""Statistics of prepared pixels, which normalize the input of networks."""

import numpy as np

from search.data.source_api import Images

CHUNK = 64
"""Number of images that are in memory as floats at once."""


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, in pixel units 0 to 255.

    A constant channel, as in stained slides, has a deviation of 1: pixels are divided by it.
    """
    sums = np.zeros((2, images.shape[-1]))  # Exact: integers below 2⁵³.
    for start in range(0, len(images), CHUNK):
        pixels = images[start : start + CHUNK].reshape(-1, images.shape[-1]).astype(np.float64)
        # `einsum`, since the threads of `@` would slow down other processes.
        for channel, values in enumerate(pixels.T):
            sums[:, channel] += values.sum(), np.einsum("i,i->", values, values)
    n_pixels = images.size // images.shape[-1]
    mean = sums[0] / n_pixels
    variance = sums[1] / n_pixels - mean**2
    std = np.sqrt(np.maximum(variance, 0))
    return tuple(map(float, mean)), tuple(map(float, np.where(std > 0, std, 1.0)))
