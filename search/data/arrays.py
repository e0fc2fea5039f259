"""A source whose images are arrays in memory: an `.npz` file or the demo set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.data.pixel_values import Range
from search.data.pixels import inspect_pixels, resize, stack, to_grey
from search.data.source_api import ImageInfo, Images, Item, UnreadableImage


@dataclass(frozen=True, slots=True)
class Arrays:
    """Images and labels of a source by split; the only split is `""` if the source has none.

    Images are uint8 `(n, height, width)` or `(n, height, width, 3)`. `pixel_range` holds the
    values that became 0 and 255; None if they are as in the source.
    """

    classes: tuple[str, ...]
    parts: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]
    pixel_range: Range | None = None


class ArraySource:
    """Images in memory, loaded on first use: a cached set costs nothing."""

    warnings: Sequence[str] = ()

    def __init__(
        self, kind: str, identity: str, image_size: int, load: Callable[[], Arrays]
    ) -> None:
        self.kind = kind
        self._identity = identity
        self._image_size = image_size
        self._load = load

    @cached_property
    def _arrays(self) -> Arrays:
        return self._load()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._arrays.classes

    @property
    def pixel_range(self) -> Range | None:
        """Values of the source's pixels that became 0 and 255."""
        return self._arrays.pixel_range

    @cached_property
    def items(self) -> Sequence[Item]:
        """All images, split by split."""
        return [
            Item(f"{split}_images[{i}]" if split else f"images[{i}]", int(label), split)
            for split, (_, labels) in self._arrays.parts.items()
            for i, label in enumerate(labels)
        ]

    @cached_property
    def _pixels(self) -> Sequence[NDArray[np.uint8]]:
        return [pixels for images, _ in self._arrays.parts.values() for pixels in images]

    def identity(self) -> str:
        """Return a text that changes whenever the images may have changed."""
        return self._identity

    def inspect(
        self, indices: Sequence[int], tick: Callable[[], None], *, keep_pixels: bool = True
    ) -> list[ImageInfo | UnreadableImage]:
        """Describe the images at `indices`, calling `tick` after each."""
        infos: list[ImageInfo | UnreadableImage] = []
        for index in indices:
            infos.append(inspect_pixels(self._pixels[index]))
            tick()
        return infos

    def images(self, indices: Sequence[int], channels: int) -> Images:
        """Return the images at `indices`, resized, with 1 or 3 channels."""
        return stack([self._resized(i, channels) for i in indices], self._image_size, channels)

    def _resized(self, index: int, channels: int) -> NDArray[np.uint8]:
        pixels = self._pixels[index]
        return resize(to_grey(pixels) if channels == 1 else pixels, self._image_size)
