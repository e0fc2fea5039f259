"""A volume: what its header says, and the pixels of one of its slices.

Slices are shown as DICOM shows them, whatever the order of the voxels in the file: the patient's
right is on the left, the front (or the head) is at the top. Numbers that are not plain 8 bits
become floats, as those of DICOM do, so that one scale in different types is one scale.
"""

import os
import stat
import threading
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.data.decode import describe_decode_error
from search.data.image_limits import MAX_PIXELS, MAX_SIDE
from search.data.volumes.inflate import read_inflated
from search.data.volumes.slices import Slice

EXTENSIONS = frozenset({".nii", ".nii.gz", ".mha", ".mhd"})
MAX_VOLUME_BYTES = 2 * 2**30
"""Of one volume, which is unpacked into memory if its file is compressed."""
MAX_FILE_BYTES = 16 * 2**30
"""Of all volumes in a file, unpacked."""

VOLUME_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    zlib.error,
)
"""What reading a damaged file raises."""


class Volume(NamedTuple):
    """The header of a file with one or more volumes.

    Attributes:
        path: File with the voxels, which may be another one than that of the header.
        start: Position of the content in it, in bytes.
        offset: Position of the voxels in the content, unpacked if it is compressed.
        is_packed: Whether it is compressed.
        shape: Number of voxels along each axis, the first of which changes fastest in the file.
        n_volumes: Number of volumes, one after another.
        n_channels: 1, or 3 or 4 for color and transparency.
        dtype: Type of a stored number.
        slope, intercept: What a stored number means: `stored * slope + intercept`.
        sources: The file's axis that runs from left to right, back to front, and feet to head.
        signs: 1 where that axis runs so, -1 where it runs the other way.
        has_orientation: Whether the file says how the axes lie in the patient.
        window: Values that the file proposes to show as black and white.
    """

    path: str
    start: int
    offset: int
    is_packed: bool
    shape: tuple[int, int, int]
    n_volumes: int
    n_channels: int
    dtype: np.dtype[Any]
    slope: float
    intercept: float
    sources: tuple[int, int, int]
    signs: tuple[int, int, int]
    has_orientation: bool
    window: tuple[float, float] | None = None

    @property
    def n_bytes(self) -> int:
        """Size of one volume in bytes."""
        x, y, z = self.shape
        return x * y * z * self.n_channels * self.dtype.itemsize

    def n_slices(self, axis: int) -> int:
        """Return the number of slices in which an axis, a position in `AXES`, is fixed."""
        return self.shape[self.sources[axis]]


def orient(affine: NDArray[Any]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return the sources and signs of a volume, given its affine to right, front, and head in mm.

    Raises:
        ValueError: If axes of the file lie in no direction.
    """
    from nibabel.orientations import io_orientation

    if not np.isfinite(affine).all():
        raise ValueError("its orientation is damaged")
    found: NDArray[Any] = io_orientation(affine)  # type: ignore[no-untyped-call]
    if np.isnan(found).any():
        raise ValueError("its orientation is damaged")
    sources, signs = [0, 0, 0], [1, 1, 1]
    for source, (target, sign) in enumerate(found.astype(int).tolist()):
        sources[target], signs[target] = source, sign
    return (sources[0], sources[1], sources[2]), (signs[0], signs[1], signs[2])


def spatial_shape(shape: Sequence[int]) -> tuple[tuple[int, int, int], int]:
    """Return the shape in space and the number of volumes of an array of 2 to 4 axes.

    Raises:
        ValueError: If it has others, or no voxels.
    """
    axes = list(shape)
    while len(axes) > 3 and axes[-1] == 1:
        axes.pop()
    if not 2 <= len(axes) <= 4 or min(axes) < 1:
        raise ValueError(f"its shape {tuple(shape)} is not supported")
    x, y, z, n_volumes = [*axes, 1, 1][:4] if len(axes) < 4 else axes
    return (x, y, z), n_volumes


def check_volume(volume: Volume) -> Volume:
    """Return a volume that is not too large to be read.

    Raises:
        ValueError: If it is, or holds no plain numbers.
    """
    if volume.dtype.kind not in "iuf" or volume.dtype.itemsize > 8:
        raise ValueError(f"its type {volume.dtype} is not supported")
    if volume.n_channels not in (1, 3, 4) or (volume.n_channels > 1 and volume.dtype != np.uint8):
        raise ValueError(f"{volume.n_channels} channels of {volume.dtype} are not supported")
    smallest, middle, largest = sorted(volume.shape)
    if largest > MAX_SIDE or middle * largest > MAX_PIXELS or smallest < 1:
        raise ValueError(f"its shape {volume.shape} is too large")
    end = volume.offset + volume.n_bytes * volume.n_volumes
    if volume.n_bytes > MAX_VOLUME_BYTES or end > MAX_FILE_BYTES:
        raise ValueError(f"its shape {volume.shape} is too large")
    if volume.start + volume.offset < 0:
        raise ValueError("the file is truncated")
    found = os.stat(volume.path)  # noqa: PTH116
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("its voxels are in no regular file")
    if not volume.is_packed and found.st_size < volume.start + end:
        raise ValueError("the file is truncated")
    return volume


def read_volume(path: str) -> Volume:
    """Read the header of a file.

    Raises:
        Exception: One of `VOLUME_ERRORS`, if it is damaged or not supported.
    """
    if path.lower().endswith((".mha", ".mhd")):
        from search.data.volumes.metaimage import read_metaimage

        return check_volume(read_metaimage(path))
    from search.data.volumes.nifti import read_nifti

    return check_volume(read_nifti(path))


def voxel_files(paths: Iterable[str]) -> list[tuple[str, int, int]]:
    """Return path, size and modification time of the files with the voxels of `.mhd` files."""
    found = []
    for path in paths:
        if path.lower().endswith(".mhd"):
            with suppress(*VOLUME_ERRORS):
                place = read_volume(path).path
                facts = os.stat(place)  # noqa: PTH116
                found.append((place, facts.st_size, facts.st_mtime_ns))
    return found


def read_slice(path: str, wanted: Slice) -> NDArray[Any]:
    """Return the pixels of a slice: uint8 as stored, or float32; color of shape `(..., 3)`.

    NaN stands for what was not measured and becomes the smallest value.

    Raises:
        Exception: One of `VOLUME_ERRORS`, if the file is damaged or not supported.
    """
    volume = read_volume(path)
    if wanted.volume >= volume.n_volumes:
        raise ValueError(f"it has {volume.n_volumes} volumes")
    if wanted.number >= volume.n_slices(wanted.axis):
        raise ValueError(f"it has {volume.n_slices(wanted.axis)} slices")
    plane = np.asarray(_upright(volume, wanted.volume).take(wanted.number, axis=wanted.axis))
    stored = np.ascontiguousarray(plane.transpose(1, 0, 2)[::-1, ::-1])
    return stored[..., :3] if volume.n_channels > 1 else _as_measured(stored[..., 0], volume)


def read_mask(volume: Volume, axis: int) -> NDArray[np.bool_]:
    """Return for each slice of a volume whether any voxel of it is measured and not 0.

    Raises:
        Exception: One of `VOLUME_ERRORS`, if the file is damaged.
    """
    if volume.n_volumes > 1:
        raise ValueError(f"it has {volume.n_volumes} volumes")
    voxels = _upright(volume, 0)
    empty = -volume.intercept / volume.slope
    slices = (voxels.take(number, axis) for number in range(voxels.shape[axis]))
    return np.array([((it != empty) & ~np.isnan(it)).any() for it in slices])


def _upright(volume: Volume, number: int) -> NDArray[Any]:
    """Return a volume with axes to right, front and head, and one of channels."""
    voxels = np.moveaxis(_voxels(volume, number), 0, -1)
    flips = tuple(slice(None, None, sign) for sign in volume.signs)
    return voxels.transpose(*volume.sources, 3)[flips]


def _as_measured(stored: NDArray[Any], volume: Volume) -> NDArray[Any]:
    if stored.dtype == np.uint8 and (volume.slope, volume.intercept) == (1.0, 0.0):
        return stored
    with np.errstate(over="ignore", invalid="ignore"):  # Infinity is found later.
        measured = stored * np.float64(volume.slope) + volume.intercept
        values: NDArray[Any] = measured.astype(np.float32)
    is_missing = np.isnan(values)
    if is_missing.any():
        values[is_missing] = values[~is_missing].min() if not is_missing.all() else 0.0
    return values


_last = threading.local()
"""The unpacked volume that this thread has read last: its slices mostly follow one another."""


def _voxels(volume: Volume, number: int) -> NDArray[Any]:
    """Return the stored numbers of a volume, of shape `(channels, *shape)`."""
    shape = (volume.n_channels, *volume.shape)
    start = volume.offset + number * volume.n_bytes
    if not volume.is_packed:
        return np.memmap(volume.path, volume.dtype, "r", volume.start + start, shape, order="F")
    key = (volume, number, os.stat(volume.path).st_mtime_ns)  # noqa: PTH116
    if getattr(_last, "key", None) != key:
        _last.key, _last.voxels = key, None  # One at a time is in memory; None if it is damaged.
        with Path(volume.path).open("rb") as file:
            file.seek(volume.start)
            content = read_inflated(file, start, volume.n_bytes)
        if len(content) == volume.n_bytes:
            _last.voxels = np.frombuffer(content, volume.dtype).reshape(shape, order="F")
    found: NDArray[Any] | None = _last.voxels
    if found is None:
        raise ValueError("the file is truncated or damaged")
    return found


def describe_volume_error(error: BaseException) -> str:
    """Describe one of `VOLUME_ERRORS` in a line."""
    if isinstance(error, KeyError):
        return f"its header lacks {error.args[0]}"
    return describe_decode_error(error)
