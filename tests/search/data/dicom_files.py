"""DICOM files for tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid


def write_dicom(
    path: Path,
    pixels: np.ndarray | None = None,
    *,
    syntax: str = ExplicitVRLittleEndian,
    encode: Callable[[np.ndarray], bytes] | None = None,
    **tags: Any,
) -> Path:
    """Write an image, color if its last axis is 3, or frames; without pixels, another object.

    `encode` compresses a frame for the transfer syntax.
    """
    found = pydicom.Dataset()
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = CTImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    if pixels is not None:
        is_color = pixels.shape[-1] == 3
        found.Rows, found.Columns = pixels.shape[:2] if is_color else pixels.shape[-2:]
        found.SamplesPerPixel = 3 if is_color else 1
        found.PhotometricInterpretation = "RGB" if is_color else "MONOCHROME2"
        if is_color:
            found.PlanarConfiguration = 0
        elif pixels.ndim == 3:
            found.NumberOfFrames = len(pixels)
        n_bits = 8 * pixels.dtype.itemsize
        found.BitsAllocated, found.BitsStored, found.HighBit = n_bits, n_bits, n_bits - 1
        found.PixelRepresentation = int(pixels.dtype.kind == "i")
        found.PixelData = pixels.tobytes()
        if encode is not None:
            frames = pixels if pixels.ndim == 3 and not is_color else pixels[None]
            found.PixelData = encapsulate([encode(frame) for frame in frames])
            found["PixelData"].VR = "OB"
            found["PixelData"].is_undefined_length = True
    for tag, value in tags.items():
        setattr(found, tag, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax == RLELossless:
        found.compress(RLELossless)
    found.save_as(path, enforce_file_format=True)
    return path
