"""Images from an `.npz`: the MedMNIST layout, or `images` and `labels`.

The file is untrusted: it is opened without pickle, and the sizes in its headers are checked first.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from search.data.arrays import Arrays, ArraySource
from search.data.class_names import MAX_CLASSES, MAX_NAME, class_names_path, read_class_names
from search.data.image_limits import check_size
from search.data.npy_members import is_image_member, read_member
from search.data.source_api import SPLITS, Progress
from search.errors import DataError
from spaces.wording import shorten

MAX_BYTES = 64 * 2**30
"""Maximum unpacked size; large arrays of images are unpacked to the disk."""
MAX_LABEL_BYTES = 4 * 2**30
"""Maximum unpacked size of all that is no image, which is read into memory."""
MAX_RATIO = 100
"""Maximum ratio of unpacked to packed size: images stay far below, and deflate reaches 1030."""
ALWAYS_ALLOWED_BYTES = 32 * 2**20
"""Unpacked size up to which the ratio does not matter: labels and black masks pack well."""
MAX_IMAGES = 2**21
"""Each takes 400 bytes beside its pixels; a gigabyte could hold 200 million of two by two."""
MIN_SIDE = 2
MAX_LABEL = 2**63 - 1
NPZ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    RuntimeError,  # encrypted; NotImplementedError, an unknown compression, is one too
    MemoryError,
    OverflowError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What `zipfile` and numpy raise on files that are damaged or not an `.npz`."""
_EXPECTED = (
    "Expected arrays 'train_images' and 'train_labels' (with 'val_...' and 'test_...'),"
    " or 'images' and 'labels'"
)


def open_npz(path: Path, progress: Progress | None = None) -> ArraySource:
    """Open an `.npz` without loading it; `progress` is called while it is unpacked to the disk.

    It is identified by path, size and modification time, and by the names beside it.
    """
    stat = path.stat()
    names = read_class_names(path)
    identity = " ".join((f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}", *map(repr, names)))
    return ArraySource("npz", identity, lambda: load_npz(path, names, progress))


def load_npz(path: Path, names: Sequence[str] = (), progress: Progress | None = None) -> Arrays:
    """Load an `.npz` of images of shape `(n, height, width)`, optionally with 1 or 3 channels.

    Classes are named by their labels, whole numbers or texts. `names` are those of the numbers 0,
    1, ..., if there are any.

    Raises:
        DataError: If it is not an `.npz` of images with labels, one for each image.
    """
    arrays = _read(path, progress)
    splits = _splits_in(path, arrays)
    images = {s: _check_image_shape(path, s, arrays[_key(s, "images")]) for s in splits}
    labels = {s: _labels(path, s, arrays, len(images[s])) for s in splits}
    classes, positions = _classes(path, labels, names)
    _check_types(path, images)
    return Arrays(classes, {s: (images[s], positions[s]) for s in splits})


def _read(path: Path, progress: Progress | None) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = sorted(_known_keys() & members.keys())
            if not wanted:
                _raise_unknown_keys(path, members)
            return {key: read_member(path, archive, members[key], progress) for key in wanted}
    except DataError:
        raise
    except NPZ_ERRORS as error:
        reason = shorten(str(error))
        raise DataError(f"Cannot read {path} as an .npz: {reason}. Save it again.") from error


def _known_keys() -> set[str]:
    return {_key(s, what) for s in ("", *SPLITS) for what in ("images", "labels")}


def _key(split: str, what: str) -> str:
    return f"{split}_{what}" if split else what


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    unpacked = sum(info.file_size for info in archive.infolist())
    packed = path.stat().st_size  # Not the sum over members, which may overlap.
    labels = sum(it.file_size for it in archive.infolist() if not is_image_member(it))
    if labels > MAX_LABEL_BYTES:
        raise DataError(
            f"{path} has {labels / 2**20:,.0f} MiB beside its images: expected at most"
            f" {MAX_LABEL_BYTES / 2**20:,.0f} MiB. Keep images and labels alone in it."
        )
    if unpacked > MAX_BYTES or unpacked > max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * packed):
        raise DataError(
            f"{path} unpacks to {unpacked / 2**20:,.0f} MiB from {packed / 2**20:,.1f} MiB:"
            f" expected at most {MAX_BYTES / 2**20:,.0f} MiB and {MAX_RATIO} times its size."
            " Keep fewer or smaller images in it."
        )


def _raise_unknown_keys(path: Path, keys: Iterable[str]) -> NoReturn:
    shown = ", ".join(repr(key[:40]) for key in sorted(keys)[:12]) or "none"
    raise DataError(f"{_EXPECTED} in {path}. Found: {shown}.")


def _splits_in(path: Path, arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    present = [split for split in SPLITS if _key(split, "images") in arrays]
    splits = present if "train" in present else [""]
    for split in splits:
        for what in ("images", "labels"):
            if _key(split, what) not in arrays:
                _raise_unknown_keys(path, arrays)
    return splits


def _labels(
    path: Path, split: str, arrays: Mapping[str, NDArray[Any]], n_images: int
) -> NDArray[Any]:
    """Return one label for each image: whole numbers, or text."""
    name = _key(split, "labels")
    labels = arrays[name]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise DataError(
            f"Expected {name!r} to hold a whole number or a text for each image, shape (n,) or"
            f" (n, 1). Received: {labels.dtype} of shape {arrays[name].shape} in {path}."
        )
    if len(labels) != n_images:
        raise DataError(
            f"Expected as many labels as images. Received: {n_images:,} in"
            f" {_key(split, 'images')!r} and {len(labels):,} in {name!r} of {path}."
        )
    return labels


def _classes(
    path: Path, labels: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Name the classes by their labels, in order, and return the positions of labels in them."""
    if len({values.dtype.kind.replace("u", "i") for values in labels.values()}) > 1:
        raise DataError(f"Expected labels of one kind, numbers or texts, in {path}.")
    if any(values.dtype == np.uint64 and (values > MAX_LABEL).any() for values in labels.values()):
        raise DataError(f"Expected labels of at most {MAX_LABEL:,} in {path}.")
    labels = {
        split: values.astype(np.int64) if values.dtype.kind in "iu" else values
        for split, values in labels.items()
    }
    found, positions = np.unique(np.concatenate(list(labels.values())), return_inverse=True)
    if len(found) > MAX_CLASSES:
        raise DataError(
            f"Expected at most {MAX_CLASSES:,} classes in {path}. Received: {len(found):,}"
            " different labels."
        )
    ends = np.cumsum([len(values) for values in labels.values()])[:-1]
    parts = zip(labels, np.split(positions.astype(np.int64), ends), strict=True)
    values = found.tolist()
    named = _names_of(path, values, names) if names else [_class_name(path, it) for it in values]
    return tuple(named), dict(parts)


def _names_of(path: Path, labels: Sequence[Any], names: Sequence[str]) -> list[str]:
    """Return the names of labels, which are positions in the names."""
    for label in labels:
        if not isinstance(label, int) or not 0 <= label < len(names):
            raise DataError(
                f"Expected labels from 0 to {len(names) - 1} in {path}, since"
                f" {class_names_path(path).name} names these. Received: {shorten(repr(label))}."
            )
    return [names[label] for label in labels]


def _class_name(path: Path, label: str | bytes | int) -> str:
    """Return a label as text; `DataError` if it is no name for a class."""
    try:
        name = label.decode() if isinstance(label, bytes) else str(label)
        name.encode()  # Half of a surrogate pair cannot be written to a file.
    except UnicodeError as error:
        raise DataError(
            f"Expected labels of Unicode text in {path}. Received: {shorten(repr(label))}."
        ) from error
    if not name.strip() or len(name) > MAX_NAME:
        raise DataError(
            f"Expected labels of 1 to {MAX_NAME} characters in {path}. Received: {name[:20]!r}."
        )
    return name


def _check_image_shape(path: Path, split: str, images: NDArray[Any]) -> NDArray[Any]:
    name = _key(split, "images")
    if images.ndim and not len(images):
        raise DataError(f"{name!r} in {path} holds no images. Fill it, or leave its split out.")
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    flat = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if not flat or min(images.shape[1:3]) < MIN_SIDE or images.dtype.kind not in "biuf":
        raise DataError(
            f"Expected {name!r} to hold numbers of shape (n, height, width), with a last axis of"
            f" 1 or 3 allowed. Received: {images.dtype} of shape {images.shape} in {path}."
        )
    if len(images) > MAX_IMAGES:
        raise DataError(
            f"Expected at most {MAX_IMAGES:,} images in {name!r} of {path}."
            f" Received: {len(images):,}. Keep fewer in it."
        )
    check_size(images.shape[2], images.shape[1], f"{name!r} of {path}")
    if images.dtype == np.bool_:
        images = images.view(np.uint8)
        images *= np.uint8(255)  # In place: the array may be larger than the memory.
    return images


def _check_types(path: Path, parts: Mapping[str, NDArray[Any]]) -> None:
    types = [images.dtype for images in parts.values()]
    if len({it if it == np.uint8 else it.kind for it in types}) > 1:
        raise DataError(
            f"Expected images of one type in all splits of {path}: one range of values becomes"
            f" 0 to 255 in all. Received: {', '.join(map(str, types))}. Save them alike."
        )
