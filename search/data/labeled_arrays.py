"""What arrays of images and of their labels must be, whatever kind of file holds them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.image_limits import check_size
from search.data.listed_class_names import MAX_CLASSES, MAX_NAME, class_names_path
from search.errors import DataError
from spaces.wording import shorten

MAX_RATIO = 100
"""Maximum ratio of unpacked to packed size: images stay far below, and deflate reaches 1030."""
ALWAYS_ALLOWED_BYTES = 32 * 2**20
"""Unpacked size up to which the ratio does not matter: labels and black masks pack well."""
MAX_IMAGES = 2**21
"""Each takes 400 bytes beside its pixels; a gigabyte could hold 200 million of two by two."""
MIN_SIDE = 2
MAX_LABEL = 2**63 - 1
BLOCK = 1024
"""Images that are changed at once."""


def check_images(name: str, path: Path, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Check an array `(n, height, width)`, with a last axis of 1 or 3 allowed, by its header.

    Raises:
        DataError: If it does not hold images, or too many or too large ones.
    """
    if shape and not shape[0]:
        raise DataError(f"{name!r} in {path} holds no images. Fill it, or leave its split out.")
    flat = len(shape) == 3 or (len(shape) == 4 and shape[3] in {1, 3})
    if not flat or min(shape[1:3]) < MIN_SIDE or dtype.kind not in "biuf":
        raise DataError(
            f"Expected {name!r} to hold numbers of shape (n, height, width), with a last axis of"
            f" 1 or 3 allowed. Received: {dtype} of shape {tuple(shape)} in {path}."
        )
    if shape[0] > MAX_IMAGES:
        raise DataError(
            f"Expected at most {MAX_IMAGES:,} images in {name!r} of {path}."
            f" Received: {shape[0]:,}. Keep fewer in it."
        )
    check_size(shape[2], shape[1], f"{name!r} of {path}")


def plain_images(images: NDArray[Any]) -> NDArray[Any]:
    """Return images without a last axis of 1, and booleans as 0 and 255."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype != np.bool_:
        return images
    levels = images.view(np.uint8)
    if not levels.flags.writeable:
        return np.where(levels != 0, np.uint8(255), np.uint8(0))
    for start in range(0, len(levels), BLOCK):  # In place: they may be larger than the memory.
        part = levels[start : start + BLOCK]
        part[part != 0] = 255
    return levels


def check_types(path: Path, types: Sequence[np.dtype[Any]]) -> None:
    """Raise `DataError` if the images of some splits have pixels of different types."""
    if len({it if it == np.uint8 else it.kind for it in types}) > 1:
        raise DataError(
            f"Expected images of one type in all splits of {path}: one range of values becomes"
            f" 0 to 255 in all. Received: {', '.join(map(str, types))}. Save them alike."
        )


def check_labels(
    name: str, path: Path, labels: NDArray[Any], images_name: str, n_images: int
) -> NDArray[Any]:
    """Return one label for each image: whole numbers, or text.

    Raises:
        DataError: If they are of another kind, or there are more or fewer than images.
    """
    shape = labels.shape
    if labels.ndim > 1 and set(shape[1:]) == {1}:
        labels = labels.reshape(-1)
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise DataError(
            f"Expected {name!r} to hold a whole number or a text for each image, shape (n,) or"
            f" (n, 1). Received: {labels.dtype} of shape {shape} in {path}."
        )
    if len(labels) != n_images:
        raise DataError(
            f"Expected as many labels as images. Received: {n_images:,} in {images_name!r} and"
            f" {len(labels):,} in {name!r} of {path}."
        )
    return labels


def name_classes(
    path: Path, labels: Mapping[str, NDArray[Any]], names: Sequence[str] = ()
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Name the classes by their labels, in order, and return the positions of labels in them.

    `names` are those of the numbers 0, 1, ..., if there are any.

    Raises:
        DataError: If the labels are no names, of several kinds, or too many different ones.
    """
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
