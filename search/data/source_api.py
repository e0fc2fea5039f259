"""The interface of a source of images: `folder`, `manifest`, `npz`, `hdf5`, `demo` implement it.

A source says what images there are, and reads the pixels of one. All that follows is the same for
every source: selection, duplicates, splits, scaling and resizing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""Shape `(n, height, width, channels)`."""
Facts = tuple[tuple[str, str], ...]
"""Names and values."""
Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)` while images are read."""
SPLITS = ("train", "val", "test")
OUT_OF_MEMORY = "it takes too much memory"
"""Why an image cannot be read."""


class Item(NamedTuple):
    """One image of a source, not read yet.

    Attributes:
        name: Unique within the source.
        label: Position of its class in the source's classes.
        split: `train`, `val` or `test` if the source has its own splits, else empty.
        group: Images of one, such as those of a patient, stay in one split; empty for none.
        of_file: Name of its file if that has several images, else empty.
        weight: Weight in the loss of training, above 0.
        facts: What else its source says of how it was taken, such as its scanner; not stored.
    """

    name: str
    label: int
    split: str = ""
    group: str = ""
    of_file: str = ""
    weight: float = 1.0
    facts: Facts = ()

    @property
    def file(self) -> str:
        """The name of its file, `scan.nii.gz` of the slice `scan.nii.gz#57`."""
        return self.of_file or self.name


class Decoded(NamedTuple):
    """The pixels of one image as they are stored, and what a reader should know of them.

    Attributes:
        pixels: Numbers of any type, `(height, width)` or `(height, width, 3)`.
        lacks_end: Whether it is a JPEG without its end marker.
        has_pages: Whether the file has further images, which are not read.
        is_transparent: Whether parts were transparent, which are black here.
        window: Values that its file proposes to show as black and white.
    """

    pixels: NDArray[Any]
    lacks_end: bool = False
    has_pages: bool = False
    is_transparent: bool = False
    window: tuple[float, float] | None = None


class ImageInfo(NamedTuple):
    """Facts about one image; a tuple, since processes exchange thousands of them.

    Attributes:
        digest: Hash of the decoded pixels, equal for exact duplicates.
        width, height: Original size in pixels.
        has_color: Whether its channels really differ.
        pixel_type: Name of numpy's type of its pixels, such as `uint16`.
        low, high: Smallest and largest value; 0 and 255 for `uint8`.
        lacks_end: Whether it is a JPEG without its end marker.
        has_pages: Whether its file has further images.
        thumbnail: Its picture in grey, stretched to 16 × 16, as bytes.
        window: Values that its file proposes to show as black and white.
    """

    digest: bytes
    width: int
    height: int
    has_color: bool
    pixel_type: str = "uint8"
    low: float = 0.0
    high: float = 255.0
    lacks_end: bool = False
    has_pages: bool = False
    thumbnail: bytes = b""
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """The reason why an image could not be read."""

    reason: str


class Source(Protocol):
    """Images with their classes.

    Attributes:
        kind: `folder`, `manifest`, `npz`, `hdf5` or `demo`.
        classes: Names of the classes; labels of items are positions in it.
        items: All images, in an order that is the same on every machine.
        warnings: Warnings about the source as a whole.
        guessed: Settings that were guessed from the source, such as the columns of a manifest.
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
    def guessed(self) -> Mapping[str, str]: ...  # noqa: D102

    def identity(self) -> str:
        """Return a text that changes whenever the images may have changed."""

    def n_bytes(self, index: int) -> int:
        """Return the size of an item, to which the time to read it is about proportional."""

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Read an item; also called in other processes and threads.

        Raises:
            DataError: If the image would take too much memory or time.
        """
