"""Reading the images of any source: in parallel, once where that is possible, to square uint8.

The first reading describes images. It also keeps 8-bit images resized, since they are used as they
are. Deeper ones are scaled by a range that is known only after the selection of training images,
and are read again then.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mode
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from search.data.decode import decoder_warnings
from search.data.parallel_map import map_chunks
from search.data.pixel_values import (
    EIGHT_BITS,
    FROM_FILES,
    OWN,
    PixelRange,
    is_usable,
    parse_window,
    percentile_range,
    plain_range,
    range_of_file,
    sample_values,
    to_uint8,
)
from search.data.pixels import choose_fit, inspect_pixels, resize, to_grey
from search.data.scratch_pixels import ScratchPixels
from search.data.settings import DataSettings, Fit
from search.data.source_api import ImageInfo, Images, Progress, Source, UnreadableImage
from search.errors import DataError

CHUNK_BYTES = 2**18
"""Bytes of images between two reports of progress, about 10 ms."""
CHUNK_IMAGES = 64
MAX_FILE_IMAGES = 512
"""Slices or frames of a file, which is unpacked once for all that one process reads in turn."""
MAX_RANGE_IMAGES = 1_000
"""Training images whose pixels decide the range, evenly spaced over the split."""
ANY_8_BIT = np.zeros((1, 1), np.uint8)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PixelRule:
    """How the pixels of a set become the square uint8 images of a network.

    Attributes:
        pixel_range: Values that become 0 and 255, or that each image has its own; None if all
            images have 8 bits.
        fit: How images that are not square become square.
    """

    pixel_range: PixelRange
    fit: Fit

    @property
    def scales_8_bit(self) -> bool:
        """Whether 8-bit images are changed."""
        return range_of_file(ANY_8_BIT, self.pixel_range) not in (None, EIGHT_BITS)


class ImageReader:
    """Reads images of a source and keeps them, resized, in a file of the cache folder.

    Without such a folder, images are only described.

    Attributes:
        infos: Facts about every image that was read.
    """

    def __init__(
        self,
        source: Source,
        settings: DataSettings,
        progress: Progress | None,
        *,
        n_expected: int,
        cache_dir: Path | None = None,
    ) -> None:
        self.infos: dict[int, ImageInfo] = {}
        self._source = source
        self._settings = settings
        self._progress = progress
        self._n_done, self._n_total = 0, n_expected
        self._fits: tuple[Fit, ...] = (
            ("stretch", "pad") if settings.resize == "auto" else (settings.resize,)
        )
        self._cache_dir = cache_dir
        self._scratch: ScratchPixels | None = None
        self._slots: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        """Those in the slot of each image that is kept."""

    def inspect(self, indices: Sequence[int]) -> list[ImageInfo | UnreadableImage]:
        """Describe the images at some positions of the source's items.

        Raises:
            DataError: If an image would take too much memory or time, or the cache folder is full.
        """
        if self._cache_dir and self._scratch is None:
            size, n_versions = self._settings.image_size, len(self._fits)
            self._scratch = ScratchPixels(self._cache_dir, size, n_versions)
        for index in indices:
            self._slots.setdefault(index, len(self._slots))
        found: list[ImageInfo | UnreadableImage] = []
        for index, (info, channels) in zip(
            indices, self._map(self._read_first, indices), strict=True
        ):
            if isinstance(info, ImageInfo):
                self.infos[index] = info
                if channels:
                    self._channels[index] = channels
            found.append(info)
        return found

    def choose_rule(self, used: Iterable[int], training: Sequence[int]) -> PixelRule:
        """Return the rule for the pixels of the used images, given those for training."""
        choice = self._settings.resize
        fit = choose_fit(self.infos[i] for i in used) if choice == "auto" else choice
        return PixelRule(self._range(training), fit)

    def images(self, indices: Sequence[int], channels: int, rule: PixelRule) -> Images:
        """Return images that were described, resized, with 1 or 3 channels.

        Raises:
            DataError: If an image cannot be read any more, or the cache folder is full.
        """
        assert self._scratch is not None, "this reader keeps no pixels"
        again = [
            i
            for i in indices
            if self.infos[i].pixel_type != "uint8" or rule.scales_8_bit or i not in self._channels
        ]

        kept = self.map_levels(self._keep, again, rule)
        self._channels.update(zip(again, kept, strict=True))
        return self._collect(indices, channels, rule)

    def map_levels(
        self,
        use: Callable[[int, NDArray[np.uint8]], R],
        indices: Sequence[int],
        rule: PixelRule,
    ) -> Iterable[R]:
        """Read images that were described again; yield what `use` makes of each.

        `use` gets the position of an image and its pixels, scaled to 0 to 255, in their original
        size. It may be called in another process.

        Raises:
            DataError: If an image cannot be read any more.
        """

        def read(index: int) -> R:
            pixels = self._read(index)
            if isinstance(pixels, UnreadableImage):
                name = self._source.items[index].name
                raise DataError(f"{name} changed while it was read: {pixels.reason}. Try again.")
            return use(index, to_uint8(pixels, rule.pixel_range))

        self._n_total += len(indices)
        return self._map(read, indices)

    def _range(self, training: Sequence[int]) -> PixelRange:
        window = self._settings.window
        if window == OWN:
            return OWN
        if window == FROM_FILES:
            return self._window_of_files(training)
        if window != "auto":
            return parse_window(window)
        deep = [i for i in training if self.infos[i].pixel_type != "uint8"]
        if not deep:
            return None
        infos = [self.infos[i] for i in deep]
        low, high = min(it.low for it in infos), max(it.high for it in infos)
        plain = plain_range(sorted({it.pixel_type for it in infos}), low, high)
        if plain is not None:
            return plain
        chosen = deep[:: -(-len(deep) // MAX_RANGE_IMAGES)]

        def read(index: int) -> NDArray[Any] | None:
            pixels = self._read(index)
            return None if isinstance(pixels, UnreadableImage) else sample_values(pixels)

        self._n_total += len(chosen)
        samples = [it for it in self._map(read, chosen) if it is not None]
        found = percentile_range(samples) if samples else (low, high)
        return found if found[0] < found[1] else (low, high)

    def _window_of_files(self, training: Sequence[int]) -> PixelRange:
        """Return the window that most training images propose; the first one if several do."""
        proposed = (self.infos[i].window for i in training)
        windows = [window for window in proposed if window and is_usable(window)]
        if not windows:
            raise DataError(
                "--window file: no training image proposes a window, as DICOM and NIfTI files can."
                " Name one, or leave the option out."
            )
        return mode(windows)

    def _map(self, read: Callable[[int], R], indices: Sequence[int]) -> Iterable[R]:
        self._n_total = max(self._n_total, self._n_done + len(indices))
        with decoder_warnings():
            for chunk in map_chunks(lambda them: list(map(read, them)), self._chunks(indices)):
                for result in chunk:
                    yield result
                    self._tick()

    def _chunks(self, indices: Sequence[int]) -> list[Sequence[int]]:
        """Split indices into runs of about `CHUNK_BYTES`; images of a file are in one run."""
        starts, n_bytes, last = [0], 0, ""
        for position, index in enumerate(indices):
            file = self._source.items[index].file
            n_here = position - starts[-1]
            is_full = n_bytes > CHUNK_BYTES or n_here >= CHUNK_IMAGES
            if is_full and (file != last or n_here >= MAX_FILE_IMAGES):
                starts.append(position)
                n_bytes = 0
            n_bytes += self._source.n_bytes(index)
            last = file
        return [indices[begin:end] for begin, end in pairwise([*starts, len(indices)])]

    def _tick(self) -> None:
        self._n_done += 1
        if self._progress:
            self._progress(self._n_done, self._n_total, "images")

    def _read(self, index: int) -> NDArray[Any] | UnreadableImage:
        found = self._source.read(index)
        return found if isinstance(found, UnreadableImage) else found.pixels

    def _read_first(self, index: int) -> tuple[ImageInfo | UnreadableImage, int]:
        """Read and describe an image; also return its channels in its slot, 0 if it has none."""
        found = self._source.read(index)
        if isinstance(found, UnreadableImage):
            return found, 0
        try:
            info = inspect_pixels(found.pixels)
        except ValueError as error:
            return UnreadableImage(str(error)), 0
        info = info._replace(
            lacks_end=found.lacks_end, has_pages=found.has_pages, window=found.window
        )
        is_kept = self._scratch is not None and found.pixels.dtype == np.uint8
        return info, self._keep(index, found.pixels, info) if is_kept else 0

    def _keep(self, index: int, pixels: NDArray[np.uint8], info: ImageInfo | None = None) -> int:
        """Keep resized pixels, as color too if they may be needed; return their channels."""
        color, info = self._settings.color, info or self.infos[index]
        n_channels = 0
        if color != "rgb":
            n_channels = self._put(index, to_grey(pixels))
        if color == "rgb" or (color == "auto" and info.has_color):
            n_channels = self._put(index, pixels)
        return n_channels

    def _put(self, index: int, pixels: NDArray[np.uint8]) -> int:
        assert self._scratch is not None
        is_square = pixels.shape[0] == pixels.shape[1]
        n_channels = 0
        for version, fit in enumerate(self._fits[:1] if is_square else self._fits):
            fitted = resize(pixels, self._settings.image_size, fit)
            n_channels = self._scratch.put(self._slots[index], version, fitted)
        return n_channels

    def _collect(self, indices: Sequence[int], channels: int, rule: PixelRule) -> Images:
        assert self._scratch is not None
        size = self._settings.image_size
        images = self._scratch.make_array((len(indices), size, size, channels))
        for position, index in enumerate(indices):
            info, n_channels = self.infos[index], min(self._channels[index], channels)
            version = 0 if info.width == info.height else self._fits.index(rule.fit)
            images[position] = self._scratch.get(self._slots[index], version, n_channels)
        return images
