"""Statistics of prepared pixels, which networks are normalized with."""

import numpy as np

from search.data.source import Images


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in pixel units 0 to 255."""
    sums = np.zeros((2, images.shape[-1]), np.int64)
    for image in images:
        pixels = image.reshape(-1, image.shape[-1])
        sums[0] += pixels.sum(axis=0, dtype=np.int64)
        sums[1] += np.square(pixels, dtype=np.uint32).sum(axis=0, dtype=np.int64)
    n_pixels = images.size // images.shape[-1]
    mean = sums[0] / n_pixels
    variance = sums[1] / n_pixels - mean**2
    return tuple(map(float, mean)), tuple(map(float, np.sqrt(np.maximum(variance, 0))))
