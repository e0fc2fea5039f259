"""Images from an `.npz`: the MedMNIST layout, or `images` and `labels`.

The file is untrusted: it is opened without pickle, and the sizes in its headers are checked first.
"""

import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.lib import format as npy
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
from search.data.source_api import SPLITS
from search.errors import DataError
from spaces.wording import shorten

MAX_BYTES = 4 * 2**30
"""Maximum unpacked size that is read into memory."""
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


def open_npz(path: Path) -> ArraySource:
    """Open an `.npz` without loading it; it is identified by path, size and modification time."""
    stat = path.stat()
    identity = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return ArraySource("npz", identity, lambda: load_npz(path))


def load_npz(path: Path) -> Arrays:
    """Load an `.npz` of images of shape `(n, height, width)`, optionally with 1 or 3 channels.

    Classes are named by their labels, whole numbers or texts.

    Raises:
        DataError: If it is not an `.npz` of images with labels, one for each image.
    """
    arrays = _read(path)
    images, labels = {}, {}
    for split in _splits_in(path, arrays):
        name, label_name = _key(split, "images"), _key(split, "labels")
        found = arrays[name]
        check_images(name, path, found.shape, found.dtype)
        images[split] = plain_images(found)
        labels[split] = check_labels(label_name, path, arrays[label_name], name, len(found))
    classes, positions = name_classes(path, labels)
    check_types(path, [it.dtype for it in images.values()])
    return Arrays(classes, {split: (images[split], positions[split]) for split in images})


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = sorted(_known_keys() & members.keys())
            if not wanted:
                _raise_unknown_keys(path, members)
            return {key: _read_array(path, archive, members[key]) for key in wanted}
    except DataError:
        raise
    except NPZ_ERRORS as error:
        reason = shorten(str(error))
        raise DataError(f"Cannot read {path} as an .npz: {reason}. Save it again.") from error


def _read_array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        shape, dtype = _read_header(file)
        if dtype.hasobject:
            raise DataError(
                f"{member.filename} in {path} holds pickled objects, which could run code: they"
                " are not loaded. Save a plain array of numbers."
            )
        if file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{member.filename} is not as long as its shape {shape} says")
    with archive.open(member) as file:
        return npy.read_array(file, allow_pickle=False)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    major, _ = npy.read_magic(file)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    try:
        shape, _, dtype = read(file)
    except Exception as error:  # Of `tokenize` and `literal_eval`, which numpy lets out.
        raise ValueError(f"a header is damaged ({shorten(str(error), 80)})") from error
    return shape, dtype


def _known_keys() -> set[str]:
    return {_key(s, what) for s in ("", *SPLITS) for what in ("images", "labels")}


def _key(split: str, what: str) -> str:
    return f"{split}_{what}" if split else what


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    unpacked = sum(info.file_size for info in archive.infolist())
    packed = path.stat().st_size  # Not the sum over members, which may overlap.
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
