"""The header of a MetaImage: `.mha` with its voxels inside, `.mhd` with them in a file beside it.

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.data.volumes.volume import Volume, orient, spatial_shape

MAX_HEADER_BYTES = 2**16
LAST_KEY = "ElementDataFile"
TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_TO_RAS = np.array([-1.0, -1.0, 1.0])
"""MetaImages point to the patient's left and back; `orient` wants right and front."""


def read_metaimage(path: str) -> Volume:
    """Read the header of a file.

    Raises:
        Exception: One of `VOLUME_ERRORS`, if it is damaged or not supported.
    """
    values, end = _parse(path)
    n_axes = int(values["NDims"])
    shape = [int(it) for it in values["DimSize"].split()]
    if len(shape) != n_axes:
        raise ValueError("its shape does not have as many numbers as axes")
    space, n_volumes = spatial_shape(shape)
    kind = values["ElementType"]
    if kind not in TYPES:
        raise ValueError(f"its type {kind[:40]} is not supported")
    is_big = _is_true(values, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    matrix = values.get("TransformMatrix") or values.get("Rotation") or values.get("Orientation")
    sources, signs = orient(_affine(matrix, n_axes))
    volume = Volume(
        path=path,
        start=end,
        offset=0,
        is_packed=_is_true(values, "CompressedData"),
        shape=space,
        n_volumes=n_volumes,
        n_channels=int(values.get("ElementNumberOfChannels", "1")),
        dtype=np.dtype(TYPES[kind]).newbyteorder(">" if is_big else "<"),
        slope=1.0,
        intercept=0.0,
        sources=sources,
        signs=signs,
        has_orientation=matrix is not None,
    )
    return _with_place(volume, values)


def _parse(path: str) -> tuple[dict[str, str], int]:
    """Return the values of a header, and the position after it."""
    values: dict[str, str] = {}
    with Path(path).open("rb") as file:
        while LAST_KEY not in values:
            line = file.readline(MAX_HEADER_BYTES)
            key, equals, value = line.decode("latin-1").partition("=")
            if not equals or file.tell() > MAX_HEADER_BYTES:
                raise ValueError("not a MetaImage")
            values[key.strip()] = value.strip()
        return values, file.tell()


def _is_true(values: dict[str, str], *keys: str) -> bool:
    return any(values.get(key, "").lower() in {"true", "1"} for key in keys)


def _affine(matrix: str | None, n_axes: int) -> NDArray[np.float64]:
    """Return the directions of the axes as the columns of an affine."""
    affine = np.eye(4)
    if matrix is not None:
        numbers = np.array([float(it) for it in matrix.split()])
        given = numbers.reshape(n_axes, n_axes).T[:3, :3]  # A row of the file is an axis.
        affine[: len(given), : len(given)] = given
    affine[:3] = affine[:3] * _TO_RAS[:, None]
    return affine


def _with_place(volume: Volume, values: dict[str, str]) -> Volume:
    """Return a volume with the file and the position of its voxels."""
    name = values[LAST_KEY]
    if name != "LOCAL":
        if name != Path(name).name or "\\" in name or name in {"", "LIST"} or "%" in name:
            raise ValueError("its voxels are not in one file beside it")
        volume = volume._replace(path=str(Path(volume.path).with_name(name)), start=0)
    n_skipped = int(values.get("HeaderSize", "0"))
    if n_skipped < 0 and not volume.is_packed:  # The voxels are at the end of the file.
        n_bytes = volume.n_bytes * volume.n_volumes
        return volume._replace(start=Path(volume.path).stat().st_size - n_bytes)
    return volume._replace(start=volume.start + max(0, n_skipped))
