"""Images from an `.npz`: the MedMNIST layout, or `images` and `labels`.

The file is untrusted: it is opened without pickle, and the sizes in its headers are checked first.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

from search.data.arrays import Arrays, ArraySource
from search.data.labeled_arrays import (
    ALWAYS_ALLOWED_BYTES,
    MAX_RATIO,
    check_images,
    check_labels,
    check_types,
    name_classes,
    plain_images,
)
from search.data.listed_class_names import read_class_names
from search.data.npy_members import is_image_member, read_member
from search.data.source_api import SPLITS, Progress
from search.errors import DataError
from spaces.wording import shorten

MAX_BYTES = 64 * 2**30
"""Maximum unpacked size; large arrays of images are unpacked to the disk."""
MAX_LABEL_BYTES = 4 * 2**30
"""Maximum unpacked size of all that is no image, which is read into memory."""
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
    images, labels = {}, {}
    for split in _splits_in(path, arrays):
        name, label_name = _key(split, "images"), _key(split, "labels")
        found = arrays[name]
        check_images(name, path, found.shape, found.dtype)
        images[split] = plain_images(found)
        labels[split] = check_labels(label_name, path, arrays[label_name], name, len(found))
    classes, positions = name_classes(path, labels, names)
    check_types(path, [it.dtype for it in images.values()])
    return Arrays(classes, {split: (images[split], positions[split]) for split in images})


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
