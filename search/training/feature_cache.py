"""Features of a frozen backbone: computed once for a prepared set, memory-mapped by all trainers.

Each split and pass has a `.npy` file, named by a hash of everything that its content depends on.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np
from numpy.typing import NDArray

from search.data import PreparedSet
from search.data.cache import CACHE_VARIABLE, cache_lock, write_cache_file
from search.errors import DataError
from search.training.augmentation import augment
from search.training.phase import predict_in_batches
from spaces.keras_models import build_extractor
from spaces.models.backbones import Weights, backbone_cost, find_backbone

FORMAT = 1
N_PASSES = 3  # Augmented passes over the training images; more would vary more and fill more disk.
BATCH_SIZE = 32
CHUNK = 8 * BATCH_SIZE  # Images between two reports of progress.

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
"""Called with the number of images done and of all; it shows that the trainer has not hung."""
Maps = NDArray[np.float32]  # Shape `(n, height, width, channels)`.


class Features:
    """A frozen backbone's features of a prepared set, cached in files."""

    def __init__(
        self,
        folder: Path,
        data: PreparedSet,
        backbone: str,
        weights: Weights,
        on_progress: OnProgress,
    ) -> None:
        self._folder = folder
        self._data = data
        self._backbone = backbone
        self._weights = weights
        self._digest = weights.digest()
        self._on_progress = on_progress
        self._extractor: keras.Model | None = None
        self._maps: dict[Path, Maps] = {}

    def maps(self, split: str, augmented_pass: int = 0) -> Maps:
        """Return the features of a split; its images are augmented in every pass but 0.

        Raises:
            DataError: If they cannot be written.
        """
        path = self._path(split, augmented_pass)
        if path not in self._maps:
            self._maps[path] = self._load_or_compute(path, split, augmented_pass)
        return self._maps[path]

    def _path(self, split: str, augmented_pass: int) -> Path:
        parts = {
            "format": FORMAT,
            "data": self._data.fingerprint,
            "backbone": self._backbone,
            "weights": self._digest,
            "mode": self._weights.mode_for(find_backbone(self._backbone)),
            "split": split,
            "pass": augmented_pass,
        }
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
        return self._folder / f"{self._backbone}-{split}{augmented_pass}-{key}.npy"

    def _load_or_compute(self, path: Path, split: str, augmented_pass: int) -> Maps:
        n_images = self._data.counts[split]
        maps = load_maps(path, n_images)
        if maps is None:
            with cache_lock(path.with_suffix(".lock"), lambda: self._on_progress(0, n_images)):
                maps = load_maps(path, n_images)  # Another trainer may have written it.
                if maps is None:
                    self._compute(path, split, augmented_pass)
                    maps = load_maps(path, n_images)
        assert maps is not None
        return maps

    def _compute(self, path: Path, split: str, augmented_pass: int) -> None:
        logger.info("computing features: %s, pass %s", split, augmented_pass)
        self._check_disk_space(split)
        blocks = self._blocks(split, augmented_pass)
        first = next(blocks)
        shape = (self._data.counts[split], *first.shape[1:])

        def write(file: BinaryIO) -> None:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.write(first.data)
            for block in blocks:
                file.write(block.data)
            file.flush()
            os.fsync(file.fileno())  # Damaged features would not be noticed later.

        write_cache_file(path, write)

    def _check_disk_space(self, split: str) -> None:
        cost = backbone_cost(
            find_backbone(self._backbone), self._data.image_shape[:2], unfrozen_layers=0
        )
        needed = 4 * self._data.counts[split] * prod(cost.output_shape)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise DataError(
                f"The features of {self._backbone} need {needed / 2**20:,.0f} MB in "
                f"{self._folder}, where {free / 2**20:,.0f} MB are free. Make room, or name "
                f"another cache folder in ${CACHE_VARIABLE}."
            )

    def _blocks(self, split: str, augmented_pass: int) -> Iterator[Maps]:
        """Yield the features of a split in chunks of images."""
        if self._extractor is None:
            self._extractor = build_extractor(
                self._backbone, self._data.image_shape, self._weights
            )
        images = self._data.images(split)
        rng = np.random.default_rng(augmented_pass)
        for start in range(0, len(images), CHUNK):
            self._on_progress(start, len(images))
            chunk = images[start : start + CHUNK]
            if augmented_pass:
                chunk = augment(chunk, rng)
            maps = predict_in_batches(self._extractor, chunk, BATCH_SIZE)
            yield np.ascontiguousarray(maps, "<f4")


def load_maps(path: Path, n_images: int) -> Maps | None:
    """Map a file of features; return None if it is missing, damaged or of another kind."""
    try:
        maps = np.lib.format.open_memmap(path, mode="r")
    except Exception:  # Of `tokenize` and `literal_eval` too, which numpy lets out.
        return None
    is_whole = maps.dtype == np.float32 and maps.ndim == 4 and len(maps) == n_images
    return maps if is_whole else None
