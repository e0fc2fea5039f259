"""The header of a NIfTI file, version 1 or 2, packed by gzip or not.

Extensions of the header are skipped: they can be anything, also a whole DICOM header.

Source: https://nifti.nimh.nih.gov/nifti-1 and https://nifti.nimh.nih.gov/nifti-2
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from search.data.volumes.inflate import read_inflated
from search.data.volumes.volume import Volume, orient, spatial_shape

GZIP = b"\x1f\x8b"
SIZES = {348: 1, 540: 2}
"""Bytes of a header, and the version that it tells."""
_COLORS = {("R", "G", "B"): 3, ("R", "G", "B", "A"): 4}


def read_nifti(path: str) -> Volume:
    """Read the header of a file.

    Raises:
        Exception: One of `VOLUME_ERRORS`, if it is damaged or not supported.
    """
    from nibabel.spatialimages import HeaderDataError

    with Path(path).open("rb") as file:
        is_packed = file.read(2) == GZIP
        file.seek(0)
        block = bytes(read_inflated(file, 0, max(SIZES)) if is_packed else file.read(max(SIZES)))
    header, size = _parse(block)
    try:
        shape, n_volumes = spatial_shape([int(it) for it in header.get_data_shape()])
        dtype, n_channels = header.get_data_dtype(), 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sources, signs = orient(header.get_best_affine())
    except HeaderDataError as error:
        raise ValueError(str(error)) from error
    if names := dtype.names:
        dtype, n_channels = np.dtype(np.uint8), _COLORS.get(names, 0)
    slope, intercept = (float(header[it]) for it in ("scl_slope", "scl_inter"))
    if not (np.isfinite(slope) and slope):
        slope, intercept = 1.0, 0.0
    window = float(header["cal_min"]), float(header["cal_max"])
    return Volume(
        path=path,
        start=0,
        offset=max(int(header["vox_offset"]), size) if header["vox_offset"] else size + 4,
        is_packed=is_packed,
        shape=shape,
        n_volumes=n_volumes,
        n_channels=n_channels,
        dtype=dtype,
        slope=slope,
        intercept=intercept if np.isfinite(intercept) else 0.0,
        sources=sources,
        signs=signs,
        has_orientation=bool(header["sform_code"] > 0 or header["qform_code"] > 0),
        window=window if window[0] < window[1] and np.isfinite(window).all() else None,
    )


def _parse(block: bytes) -> tuple[Any, int]:
    """Return the header in the first bytes of a file, and its size."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    sizes = (int.from_bytes(block[:4], order) for order in ("little", "big"))
    size = next((it for it in sizes if it in SIZES), 0)
    if not size or len(block) < size:
        raise ValueError("not a NIfTI file")
    kind: Any = Nifti1Header if SIZES[size] == 1 else Nifti2Header
    header = kind(binaryblock=block[:size], check=False)
    magic = bytes(header["magic"].item())
    if magic[:3] in (b"ni1", b"ni2"):
        raise ValueError("its voxels are in another file: save it as one .nii")
    if magic[:3] not in (b"n+1", b"n+2"):
        raise ValueError("not a NIfTI file")
    return header, size
