"""The prepared set: one safetensors file that every worker maps into memory.

Layout: `{split}_images` uint8 `(n, height, width, channels)` and `{split}_labels` int64 `(n,)` for
each split; `{split}_groups` int64 `(n,)` if the source has groups; `train_weights` float32 `(n,)`
if it has weights. The metadata entry `convsearch` is JSON.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from search.data.cache import lock_shared
from search.data.pixel_values import PixelRange
from search.data.settings import Fit
from search.data.source_api import SPLITS, Images
from search.errors import DataError
from spaces.wording import shorten

FORMAT_VERSION = 1
MAX_HEADER_BYTES = 16 * 2**20
_DTYPES: dict[str, tuple[str, np.dtype[Any]]] = {
    "labels": ("I64", np.dtype("<i8")),
    "groups": ("I64", np.dtype("<i8")),
    "weights": ("F32", np.dtype("<f4")),
    "images": ("U8", np.dtype("u1")),
}
"""Types of tensors by what they hold, as safetensors and numpy call them."""
_METADATA_KEY = "convsearch"
Labels = NDArray[np.int64]
Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Split:
    """Images, labels and more of one split; they are read-only if mapped from a file.

    Groups are numbers that are the same for images which belong together; None if there are none.
    Weights in the loss have a mean of 1; None if all images count the same.
    """

    images: Images
    labels: Labels
    groups: Labels | None = None
    weights: Weights | None = None


class PreparedSet:
    """Prepared images and labels, mapped from their file.

    Attributes:
        metadata: Settings, kind of source, excluded files, ...
        fingerprint: SHA-256 of images, labels, classes and splits in hexadecimal, equal for equal
            training data.
        classes: Names of the classes; labels are positions in it.
        image_shape: Height, width and channels of every image.
        mean, std: Of the training pixels for each channel, 0 to 255.
        pixel_range: Values of the source's pixels that became 0 and 255, `image` if each image
            had its own; see `pixel_values`.
        fit: How images that are not square became square.
    """

    def __init__(self, path: Path, splits: Mapping[str, Split], metadata: dict[str, Any]) -> None:
        self.path = path
        self.metadata = metadata
        self._splits = dict(splits)
        self.fingerprint: str = metadata["fingerprint"]
        self.classes: tuple[str, ...] = tuple(metadata["classes"])
        height, width, channels = self._splits["train"].images.shape[1:]
        self.image_shape: tuple[int, int, int] = (height, width, channels)
        self.mean: tuple[float, ...] = tuple(metadata["mean"])
        self.std: tuple[float, ...] = tuple(metadata["std"])
        found = metadata.get("pixel_range")
        self.pixel_range: PixelRange = (found[0], found[1]) if isinstance(found, list) else found
        self.fit: Fit = metadata.get("resize", "stretch")

    @classmethod
    def open(cls, path: Path | str) -> "PreparedSet":
        """Map a prepared file; its pixels are read from disk when they are used.

        While it is mapped, `search.data.cache.remove_unused` does not remove it.

        Raises:
            DataError: If the file is missing, cut short or not a prepared set.
        """
        path = Path(path)
        try:
            tensors, metadata = _map_file(path)
            return cls(path, _splits_of(tensors), metadata)
        except OSError as error:
            raise DataError(f"Cannot read the prepared set {path}: {error.strerror}.") from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(
                f"Not a prepared set, or a damaged one: {path} ({shorten(str(error))})."
                " Delete it and prepare the source again."
            ) from error

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def counts(self) -> dict[str, int]:
        """The number of images in each split."""
        return {name: len(split.labels) for name, split in self._splits.items()}

    def images(self, split: str) -> Images:
        """Return images of a split, read-only uint8 `(n, height, width, channels)`."""
        return self._splits[split].images

    def labels(self, split: str) -> Labels:
        """Return labels of a split, int64 `(n,)`, in the order of the images."""
        return self._splits[split].labels

    def groups(self, split: str) -> list[int] | None:
        """Return the groups of the images of a split; None if the set has none."""
        found = self._splits[split].groups
        return None if found is None else found.tolist()

    def train_weights(self) -> Weights | None:
        """Return the weights of the training images, float32 `(n,)`; None if all are the same."""
        return self._splits["train"].weights

    def verify(self) -> None:
        """Compare all content with the fingerprint; raise `DataError` if it was changed."""
        found = fingerprint(self.classes, self._splits)
        if found != self.fingerprint:
            raise DataError(
                f"The prepared set {self.path} was changed after it was written: expected"
                f" fingerprint {self.fingerprint[:12]}, found {found[:12]}."
                " Delete it and prepare the source again."
            )


def fingerprint(classes: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    """Return the SHA-256, in hexadecimal, of everything that training sees."""
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for name in SPLITS:
        split = splits[name]
        digest.update(f"{name}{split.images.shape}".encode())
        digest.update(np.ascontiguousarray(split.labels, "<i8").data)
        digest.update(np.ascontiguousarray(split.images).data)
        if split.weights is not None:
            digest.update(np.ascontiguousarray(split.weights, "<f4").data)
    return digest.hexdigest()


def write_prepared(
    file: BinaryIO, splits: Mapping[str, Split], metadata: Mapping[str, Any]
) -> None:
    """Write splits as safetensors: header length, JSON header, then the arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in SPLITS:  # Labels first: int64 stays aligned to 8 bytes.
        arrays[f"{name}_labels"] = np.ascontiguousarray(splits[name].labels, "<i8")
        groups = splits[name].groups
        if groups is not None:
            arrays[f"{name}_groups"] = np.ascontiguousarray(groups, "<i8")
    if (weights := splits["train"].weights) is not None:
        arrays["train_weights"] = np.ascontiguousarray(weights, "<f4")
    for name in SPLITS:
        arrays[f"{name}_images"] = np.ascontiguousarray(splits[name].images)
    header = _header(arrays, metadata)
    file.write(struct.pack("<Q", len(header)) + header)
    for array in arrays.values():
        file.write(array.data)


def _header(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {_METADATA_KEY: json.dumps(metadata)}}
    begin = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": _dtype_of(name)[0],
            "shape": list(array.shape),
            "data_offsets": [begin, begin + array.nbytes],
        }
        begin += array.nbytes
    text = json.dumps(header).encode()
    return text + b" " * (-len(text) % 8)


def _map_file(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        lock_shared(file)
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise ValueError("it has no header")
        header = json.loads(file.read(length))
        metadata = json.loads(header.pop("__metadata__")[_METADATA_KEY])
        if metadata["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {metadata['format_version']}, not {FORMAT_VERSION}")
        start = 8 + length
        if start + max(entry["data_offsets"][1] for entry in header.values()) != size:
            raise ValueError("its size is not what its header says")
        tensors = {name: _map_tensor(file, start, name, it) for name, it in header.items()}
        return tensors, metadata


def _dtype_of(name: str) -> tuple[str, np.dtype[Any]]:
    """Return the type of a tensor, such as `train_images`."""
    return _DTYPES[name.partition("_")[2]]


def _map_tensor(file: BinaryIO, start: int, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    """Map an array of an open file, not of a path.

    The mapping duplicates the descriptor, which keeps the lock until the last array is freed.
    """
    begin, end = entry["data_offsets"]
    shape, (stored, dtype) = tuple(entry["shape"]), _dtype_of(name)
    if entry["dtype"] != stored:
        raise ValueError(f"{name} of the type {entry['dtype']}")
    n_values = 1
    for side in shape:
        if not isinstance(side, int) or side < 1:
            raise ValueError(f"shape {shape}")
        n_values *= side
    if begin < 0 or end - begin != n_values * dtype.itemsize:
        raise ValueError("offsets do not fit the shapes")
    mapped: NDArray[Any] = np.memmap(file, dtype, mode="r", offset=start + begin, shape=shape)
    return mapped


def _splits_of(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Split]:
    splits = {
        name: Split(
            tensors[f"{name}_images"],
            tensors[f"{name}_labels"],
            tensors.get(f"{name}_groups"),
            tensors.get("train_weights") if name == "train" else None,
        )
        for name in SPLITS
    }
    shapes = {split.images.shape[1:] for split in splits.values()}
    if len(shapes) != 1 or len(shapes.pop()) != 3:
        raise ValueError("images of different shapes")
    if any(len(split.images) != len(split.labels) for split in splits.values()):
        raise ValueError("images and labels differ in number")
    groups = [(split.groups, len(split.labels)) for split in splits.values()]
    if any(it is not None and it.shape != (n,) for it, n in groups):
        raise ValueError("images and groups differ in number")
    if (weights := splits["train"].weights) is not None:
        if weights.shape != splits["train"].labels.shape:
            raise ValueError("images and weights differ in number")
        if not (np.isfinite(weights).all() and weights.min() > 0):
            raise ValueError("weights that are not above 0")
    return splits
