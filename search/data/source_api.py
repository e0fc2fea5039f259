"""The interface of a source of images; `folder`, `npz` and `demo` each hold one kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""Shape `(n, height, width, channels)`."""
Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)` while images are read."""
SPLITS = ("train", "val", "test")


class Item(NamedTuple):
    """One image of a source, not read yet.

    Its name is unique within the source, its split empty where the source has no splits.
    """

    name: str
    label: int
    split: str = ""


class ImageInfo(NamedTuple):
    """Facts about one decoded image; a tuple, since processes exchange thousands of them.

    `digest` is the hash of the pixels at their original size, equal for exact duplicates;
    `has_color` says whether the channels really differ.
    """

    digest: bytes
    width: int
    height: int
    has_color: bool


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """Why one image could not be read."""

    reason: str


class Source(Protocol):
    """Images with their classes, wherever they come from.

    Attributes:
        kind: `folder`, `npz` or `demo`.
        classes: Names of the classes; an item's label is a position here.
        items: All images that the source lists, in an order that is the same on every machine.
        warnings: What a user should know about the source as a whole.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def items(self) -> Sequence[Item]: ...  # noqa: D102

    @property
    def warnings(self) -> Sequence[str]: ...  # noqa: D102

    def identity(self) -> str:
        """Text that changes whenever the images may have changed."""

    def inspect(
        self, indices: Sequence[int], tick: Callable[[], None], *, keep_pixels: bool = True
    ) -> list[ImageInfo | UnreadableImage]:
        """Read the images at `indices` of `items`, calling `tick` after each.

        Their pixels are kept where `images` will be called for some of them.
        """

    def images(self, indices: Sequence[int], channels: int) -> Images:
        """Pixels of images that were inspected, resized, with 1 or 3 channels."""
