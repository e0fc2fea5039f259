"""A source whose images are arrays in memory: an `.npz` file or the demo set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.source_api import Decoded, Item


@dataclass(frozen=True, slots=True)
class Arrays:
    """Images and labels of a source by split; the only split is `""` if the source has none.

    Images are numbers of any type, `(n, height, width)` or `(n, height, width, 3)`.
    """

    classes: tuple[str, ...]
    parts: Mapping[str, tuple[NDArray[Any], NDArray[np.int64]]]


class ArraySource:
    """Images in memory, loaded on first use: a cached set costs nothing."""

    warnings: Sequence[str] = ()
    guessed: Mapping[str, str] = MappingProxyType({})

    def __init__(self, kind: str, identity: str, load: Callable[[], Arrays]) -> None:
        self.kind = kind
        self._identity = identity
        self._load = load

    @cached_property
    def _arrays(self) -> Arrays:
        return self._load()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._arrays.classes

    @cached_property
    def items(self) -> Sequence[Item]:
        """All images, split by split."""
        return [
            Item(f"{split}_images[{i}]" if split else f"images[{i}]", int(label), split)
            for split, (_, labels) in self._arrays.parts.items()
            for i, label in enumerate(labels)
        ]

    @cached_property
    def _pixels(self) -> Sequence[NDArray[Any]]:
        return [pixels for images, _ in self._arrays.parts.values() for pixels in images]

    def identity(self) -> str:
        """Return a text that changes whenever the images may have changed."""
        return self._identity

    def n_bytes(self, index: int) -> int:
        """Return the size of an image."""
        return self._pixels[index].nbytes

    def read(self, index: int) -> Decoded:
        """Return an image."""
        return Decoded(self._pixels[index])
