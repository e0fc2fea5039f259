"""The interface of a source of images; the modules `folder`, `npz` and `demo` implement it."""

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
    """One image of a source, not read yet; its name is unique within the source.

    `split` is `train`, `val` or `test` if the source has its own splits, else empty.
    """

    name: str
    label: int
    split: str = ""


class ImageInfo(NamedTuple):
    """Facts about one image; a tuple, since processes exchange thousands of them.

    Attributes:
        digest: Hash of the decoded pixels, equal for exact duplicates.
        width, height: Original size in pixels.
        has_color: Whether its channels really differ.
        lacks_end: Whether it is a JPEG without its end marker.
    """

    digest: bytes
    width: int
    height: int
    has_color: bool
    lacks_end: bool = False


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """The reason why an image could not be read."""

    reason: str


class Source(Protocol):
    """Images with their classes.

    Attributes:
        kind: `folder`, `npz` or `demo`.
        classes: Names of the classes; labels of items are positions in it.
        items: All images, in an order that is the same on every machine.
        warnings: Warnings about the source as a whole.
        pixel_range: Values of its pixels that became 0 and 255, if they are the same for all.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def items(self) -> Sequence[Item]: ...  # noqa: D102

    @property
    def warnings(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def pixel_range(self) -> tuple[float, float] | None: ...  # noqa: D102

    def identity(self) -> str:
        """Return a text that changes whenever the images may have changed."""

    def inspect(
        self, indices: Sequence[int], tick: Callable[[], None], *, keep_pixels: bool = True
    ) -> list[ImageInfo | UnreadableImage]:
        """Read the images at some positions of `items`, calling `tick` after each.

        `keep_pixels` says whether `images` will be called for some of them.
        """

    def images(self, indices: Sequence[int], channels: int) -> Images:
        """Return images that were inspected, resized, with 1 or 3 channels."""
