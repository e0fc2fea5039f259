"""A source whose images are arrays in memory: what `.npz` files and the demo set share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.data.pixels import look_at, resize, stack, with_channels
from search.data.source import Broken, Images, Item, Look


class ArraySource:
    """Images `(n, height, width)` or `(n, height, width, 3)` for each split, uint8.

    A split named with the empty string means that the source has no splits of its own.
    """

    def __init__(
        self,
        kind: str,
        classes: tuple[str, ...],
        parts: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]],
        *,
        identity: str,
        image_size: int,
        warnings: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.classes = classes
        self.warnings = warnings
        self._identity = identity
        self._image_size = image_size
        items: list[Item] = []
        self._pixels: list[NDArray[np.uint8]] = []
        for split, (images, labels) in parts.items():
            prefix = f"{split}_images" if split else "images"
            for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
                items.append(Item(f"{prefix}[{i}]", int(label), split))
                self._pixels.append(pixels)
        self.items: Sequence[Item] = items

    def identity(self) -> str:
        """Text that changes whenever the images may have changed."""
        return self._identity

    def look(
        self, indices: Sequence[int], tick: Callable[[], None], *, keep_pixels: bool = True
    ) -> list[Look | Broken]:
        """Describes the images at `indices`, calling `tick` after each."""
        looks: list[Look | Broken] = []
        for index in indices:
            looks.append(look_at(self._pixels[index]))
            tick()
        return looks

    def images(self, indices: Sequence[int], channels: int) -> Images:
        """Pixels of the images at `indices`, resized, with 1 or 3 channels."""
        return stack([self._resized(i, channels) for i in indices], self._image_size, channels)

    def _resized(self, index: int, channels: int) -> NDArray[Any]:
        pixels = with_channels(self._pixels[index], channels)
        squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return np.asarray(resize(Image.fromarray(squeezed), self._image_size))
