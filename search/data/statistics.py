"""Statistics of prepared pixels, which networks are normalized with."""

import numpy as np

from search.data.source_api import Images

CHUNK = 64
"""Images at a time in memory as floats."""


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, in pixel units 0 to 255.

    A channel that never varies, as in stained slides, has a deviation of 1, as pixels are divided
    by it.
    """
    sums = np.zeros((2, images.shape[-1]))  # of whole numbers below 2⁵³, and so exact
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
