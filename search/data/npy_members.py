"""Arrays in an `.npz`: small ones are read into memory, large ones of images unpacked to the disk.

What is unpacked is in a file without a name in the cache folder, which is mapped into memory and
ends with the processes that use it.
"""

import math
import os
import zipfile
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from search.data.cache import cache_error_message, default_cache_dir, make_cache_folder
from search.data.source_api import Progress
from search.errors import DataError
from spaces.wording import shorten

IN_MEMORY_BYTES = 2**30
"""Larger arrays of images are not read into memory."""
CHUNK_BYTES = 2**22
MB = 10**6


def is_image_member(member: zipfile.ZipInfo) -> bool:
    """Whether a member holds images, by its name."""
    return member.filename.removesuffix(".npy").endswith("images")


def read_member(
    path: Path,
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    progress: Progress | None = None,
) -> NDArray[Any]:
    """Return the array of a member; one that is unpacked to the disk is mapped, and writable.

    Raises:
        DataError: If it holds objects, or is to be unpacked and cannot be.
        ValueError: If it is damaged; `zipfile` and numpy raise others of `npz.NPZ_ERRORS`.
    """
    with archive.open(member) as file:
        shape, is_fortran, dtype = _read_header(file)
        if dtype.hasobject:
            raise DataError(
                f"{member.filename} in {path} holds pickled objects, which could run code: they"
                " are not loaded. Save a plain array of numbers."
            )
        if file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{member.filename} is not as long as its shape {shape} says")
        if is_image_member(member) and member.file_size > IN_MEMORY_BYTES:
            if is_fortran:
                raise DataError(
                    f"{member.filename} in {path} is in Fortran order, in which an image is"
                    " spread over all of the file. Save it in C order (np.ascontiguousarray)."
                )
            return _unpack(file, shape, dtype, progress)
    with archive.open(member) as file:
        return npy.read_array(file, allow_pickle=False)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    major, _ = npy.read_magic(file)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    try:
        return read(file)
    except Exception as error:  # Of `tokenize` and `literal_eval`, which numpy lets out.
        raise ValueError(f"a header is damaged ({shorten(str(error), 80)})") from error


def _unpack(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], progress: Progress | None
) -> NDArray[Any]:
    """Return the rest of a member as an array in a file of the cache folder."""
    folder, n_bytes = default_cache_dir(), math.prod(shape) * dtype.itemsize
    try:
        make_cache_folder(folder)
        scratch = TemporaryFile(dir=folder)  # noqa: SIM115
    except OSError as error:
        raise DataError(cache_error_message("write to", folder, error)) from error
    with scratch:
        _reserve(scratch, n_bytes, folder)
        n_done = 0
        while chunk := file.read(CHUNK_BYTES):
            _write(scratch, chunk, folder)
            n_done += len(chunk)
            if progress is not None:
                progress(n_done // MB, n_bytes // MB, "unpacked megabytes")
        scratch.flush()
        if n_done != n_bytes:
            raise ValueError(f"an array ends after {n_done:,} of {n_bytes:,} bytes")
        return np.asarray(np.memmap(scratch, dtype, mode="r+", shape=shape))


def _reserve(scratch: IO[bytes], n_bytes: int, folder: Path) -> None:
    """Claim all of the space at once, so that a disk with too little is noticed first."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(scratch.fileno(), 0, n_bytes)
    except OSError as error:
        raise DataError(
            f"{n_bytes / 2**30:.1f} GiB are unpacked there."
            f" {cache_error_message('write to', folder, error)}"
        ) from error


def _write(scratch: IO[bytes], chunk: bytes, folder: Path) -> None:
    try:
        scratch.write(chunk)
    except OSError as error:
        raise DataError(cache_error_message("write to", folder, error)) from error
