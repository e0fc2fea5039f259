"""Statistics of prepared pixels, which networks are normalized with."""

import numpy as np

from search.data.source import Images


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in pixel units 0 to 255, exact."""
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for image in images:
        for channel in range(channels):
            counts[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
    levels = np.arange(256)
    n_pixels = counts.sum(axis=1)
    mean = (counts * levels).sum(axis=1) / n_pixels
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / n_pixels
    return tuple(map(float, mean)), tuple(map(float, np.sqrt(variance)))
