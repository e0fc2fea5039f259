"""Files that others have written: those of pydicom and nibabel for tests, and of real scanners."""

from itertools import combinations
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from search.data import DataSettings, inspect_source, prepare
from search.data.decode import decoder_warnings
from search.data.read_image import read_image
from search.data.source_api import Decoded, UnreadableImage
from search.data.volumes.slices import Slice
from search.errors import DataError

OF_PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
OF_NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
SYNTAXES = (
    "compressed",
    "compressed_j2k",
    "compressed_jpeg",
    "compressed_jpegls",
    "compressed_rle",
)


def read(path: Path, frame: Slice | None = None) -> Decoded | UnreadableImage:
    with decoder_warnings():
        return read_image(str(path), frame)


def pixels_of(path: Path, frame: Slice | None = None) -> np.ndarray:
    found = read(path, frame)
    assert isinstance(found, Decoded), found
    return found.pixels


@pytest.fixture
def medical(shared_data: Path) -> Path:
    return shared_data / "medical"


@pytest.mark.parametrize("folder", ["dicom", "nifti", "medical"])
def test_every_file_is_read_or_says_why(folder: str, medical: Path) -> None:
    root = {"dicom": OF_PYDICOM, "nifti": OF_NIBABEL, "medical": medical}[folder]
    files = [path for path in root.rglob("*") if path.is_file()]
    if folder == "nifti":
        files = [it for it in files if it.name.endswith((".nii", ".nii.gz"))]
    read_files = [it for it in files if isinstance(_outcome(it), Decoded)]
    assert len(files) > 5
    assert len(read_files) >= len(files) // 2


def _outcome(path: Path) -> Decoded | UnreadableImage | DataError:
    try:
        found = read(path)
    except DataError as error:
        return error
    if isinstance(found, UnreadableImage):
        assert 0 < len(found.reason) < 250
        assert "\n" not in found.reason
    else:
        assert found.pixels.size
        assert np.isfinite(found.pixels).all()
    return found


def test_dicom_is_read_as_pydicom_alone_reads_it() -> None:
    """Grey files that pydicom decodes without others, with their rescaling applied."""
    n_compared = 0
    for path in sorted(OF_PYDICOM.rglob("*.dcm")):
        found = _outcome(path)
        file = pydicom.dcmread(path, force=True)
        is_grey = file.get("PhotometricInterpretation") == "MONOCHROME2"
        if not isinstance(found, Decoded) or not is_grey or file.BitsAllocated <= 8:
            continue
        if file.file_meta.TransferSyntaxUID.is_compressed:
            continue
        several = int(file.get("NumberOfFrames") or 1) > 1
        values = file.pixel_array[0] if several else file.pixel_array
        expected = pydicom.pixels.apply_modality_lut(values, file)
        expected = expected * float(file.get("DoseGridScaling") or 1)
        if "PixelPaddingValue" in file:
            shown = values != file.PixelPaddingValue
            np.testing.assert_allclose(found.pixels[shown], expected[shown], rtol=1e-6)
        else:
            np.testing.assert_allclose(found.pixels, expected, rtol=1e-6)
        n_compared += 1
    assert n_compared >= 10


def test_nifti_is_read_as_nibabel_alone_reads_it() -> None:
    n_compared = 0
    for path in sorted(OF_NIBABEL.glob("*.nii*")):
        file = nibabel.load(path)
        if file.ndim not in {3, 4} or not isinstance(_outcome(path), Decoded):
            continue
        voxels = nibabel.as_closest_canonical(file).get_fdata()
        voxels = voxels[..., 0] if voxels.ndim == 4 else voxels
        middle = voxels.shape[2] // 2
        expected = voxels[::-1, ::-1, middle].T  # From the patient's right and front on.
        found = pixels_of(path, Slice(2, middle)).astype(np.float64)
        known = np.isfinite(expected)
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-5, atol=1e-3)
        n_compared += 1
    assert n_compared >= 5


@pytest.mark.parametrize(("first", "second"), list(combinations(SYNTAXES, 2)))
def test_compressed_twins_agree(medical: Path, first: str, second: str) -> None:
    root = medical / "dicom_syntax_twins"
    files = sorted((root / first / "001").iterdir())
    assert files
    for path in files:
        assert np.array_equal(pixels_of(path), pixels_of(root / second / "001" / path.name))


@pytest.mark.parametrize(
    ("series", "volume"),
    [
        ("anatomical/002_non_isotropic", "anatomical/002_non_isotropic_ground_truth.nii.gz"),
        ("rgb/001", "rgb/001_ground_truth.nii.gz"),
    ],
)
def test_series_agrees_with_its_nifti(medical: Path, series: str, volume: str) -> None:
    root = medical / "dicom_syntax_twins"
    for number, path in enumerate(sorted((root / series).iterdir())):
        found = pixels_of(root / volume, Slice(2, number))
        np.testing.assert_allclose(found, pixels_of(path), atol=1e-3)


def test_two_scanners_with_one_patient_id_are_noticed(medical: Path) -> None:
    with pytest.raises(DataError) as raised:
        inspect_source(DataSettings(source=str(medical / "dicom_two_scanners")))
    assert (
        "images are grouped by SeriesInstanceUID: 6 groups, the largest of 20 files, since"
        " PatientID is the same in all files and StudyInstanceUID has one value for each class"
    ) in str(raised.value)


def test_set_is_the_same_as_a_folder_and_as_a_manifest(
    shared_data: Path, tmp_path: Path, cache_dir: Path
) -> None:
    folder = shared_data / "mednist_mini"
    files = sorted(folder.rglob("*.jpeg")) + sorted(folder.rglob("*.jpg"))
    rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in files]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    prepared = [
        prepare(DataSettings(source=str(source), image_size=32, root=root), cache_dir)
        for source, root in ((folder, None), (table, str(folder)))
    ]
    assert len(files) > 100
    assert prepared[0].fingerprint == prepared[1].fingerprint
