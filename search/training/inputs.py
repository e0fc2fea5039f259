"""The input of phases: pixels, or the features that a frozen backbone computed from them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from search.data import PreparedSet
from search.training.augmentation import CHUNK, Augmentation
from search.training.feature_cache import Maps
from search.training.phase import Batch, TrainingBatch

ORDER, AUGMENTATION = 0, 1  # Random streams, seeded by a trial's seed, the stream and an epoch.


class PixelFeed:
    """Pixels, augmented differently in each epoch if the config says so."""

    def __init__(
        self, data: PreparedSet, seed: int, batch_size: int, *, augmentation: bool
    ) -> None:
        self._data = data
        self._seed = seed
        self._augmentation = augmentation
        self.batch_size = min(batch_size, data.counts["train"])

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield training images, shape `(batch_size, height, width, channels)`, and labels."""
        labels, weights = self._data.labels("train"), self._data.train_weights()
        order = draw_order(len(labels), self._seed, epoch, self.batch_size)
        for batch, images in zip(order, self._images(order, epoch), strict=True):
            yield images, labels[batch], None if weights is None else weights[batch]

    def _images(self, order: NDArray[np.int64], epoch: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the images of each batch; a few batches at once are in memory."""
        images = self._data.images("train")
        changes: Augmentation | None = None
        if self._augmentation:
            rng = np.random.default_rng((self._seed, AUGMENTATION, epoch))
            height, width = images.shape[1:3]
            changes = Augmentation.draw(order.size, (height, width), rng)
        n_at_once = max(1, CHUNK // self.batch_size)
        for first in range(0, len(order), n_at_once):
            batches = order[first : first + n_at_once]
            chunk = images[batches.ravel()]
            if changes is not None:
                chunk = changes.apply(chunk, first * self.batch_size)
            yield from chunk.reshape(*batches.shape, *images.shape[1:])

    def validation(self) -> Batch:
        """Return the validation images, never augmented."""
        return self._data.images("val"), self._data.labels("val")


class FeatureFeed:
    """Features of a frozen backbone; epochs alternate between the `passes` over the images."""

    def __init__(
        self,
        passes: Sequence[Maps],
        validation: Maps,
        data: PreparedSet,
        seed: int,
        batch_size: int,
    ) -> None:
        self._passes = passes
        self._validation = validation
        self._data = data
        self._seed = seed
        self.batch_size = min(batch_size, data.counts["train"])

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield features of training images, shape `(batch_size, height, width, channels)`."""
        labels, weights = self._data.labels("train"), self._data.train_weights()
        maps = self._passes[(epoch - 1) % len(self._passes)]
        for batch in draw_order(len(labels), self._seed, epoch, self.batch_size):
            yield maps[batch], labels[batch], None if weights is None else weights[batch]

    def validation(self) -> Batch:
        """Return the features of the validation images."""
        return self._validation, self._data.labels("val")


def draw_order(n_images: int, seed: int, epoch: int, batch_size: int) -> NDArray[np.int64]:
    """Draw the positions of an epoch's images, `(n_batches, batch_size)`: full batches only."""
    order = np.random.default_rng((seed, ORDER, epoch)).permutation(n_images)
    n_batches = n_images // batch_size
    return order[: n_batches * batch_size].reshape(n_batches, batch_size)
