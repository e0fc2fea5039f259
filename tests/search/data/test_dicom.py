"""DICOM files: pixels as an independent reading has them, frames, filters, and groups."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from search.data import DataSettings, PreparedSet, inspect_source, prepare
from search.data.decode import decoder_warnings
from search.data.dicom.header import Header, NoImage, read_header
from search.data.dicom.pixels import decode_dicom
from search.data.inference_images import PreparedImage, prepare_image
from search.data.open_source import open_source
from search.data.read_image import read_image
from search.data.source_api import UnreadableImage
from search.errors import DataError
from tests.search.data.dicom_files import write_dicom

UID = "1.2.826.0.1.3680043.8.498."
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a DICOM file below `set`: `write(name, pixels, Tag=value, ...)`."""
    return lambda name, *args, **tags: write_dicom(tmp_path / "set" / name, *args, **tags)


def noise(seed: int, shape: tuple[int, ...] = (24, 24), dtype: str = "int16") -> np.ndarray:
    low, high = (0, 256) if dtype == "uint8" else (0, 4096)
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def pixels_of(path: Path, frame: int | None = None) -> np.ndarray:
    return decode_dicom(str(path), frame).pixels


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, lambda it: it),
        ({"RescaleSlope": 1, "RescaleIntercept": -1024}, lambda it: it - 1024.0),
        ({"RescaleSlope": 0.5, "RescaleIntercept": 3}, lambda it: it * 0.5 + 3),
        ({"PhotometricInterpretation": "MONOCHROME1"}, lambda it: -1.0 - it),
        ({"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 2, "RescaleIntercept": 10},
         lambda it: -2.0 - 2 * it + 10),
    ],
    ids=["stored", "intercept", "slope", "inverted", "inverted and rescaled"],
)  # fmt: skip
def test_pixels_are_what_the_tags_say(
    write: Write, tags: dict[str, Any], expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Signed values of 16 bits are mirrored at -0.5, so the largest stays the largest stored."""
    stored = noise(0)
    found = pixels_of(write("a.dcm", stored, **tags))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(stored.astype(float)), atol=1e-3)


def test_one_bit_is_black_and_white(write: Write) -> None:
    bits = np.packbits(noise(0, (16, 16), "uint8").ravel() > 99, bitorder="little")
    tags = {"Rows": 16, "Columns": 16, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    found = {
        kind: pixels_of(write("a.dcm", bits[None], **tags, PhotometricInterpretation=kind))
        for kind in ("MONOCHROME1", "MONOCHROME2")
    }
    assert set(np.unique(found["MONOCHROME1"])) == {0, 255}
    assert np.array_equal(found["MONOCHROME1"], 255 - found["MONOCHROME2"])


def test_inverted_8_bits_stay_8_bits(write: Write) -> None:
    stored = noise(0, dtype="uint8")
    found = pixels_of(write("a.dcm", stored, PhotometricInterpretation="MONOCHROME1"))
    assert found.dtype == np.uint8
    assert np.array_equal(found, 255 - stored)


def test_padding_is_as_dark_as_the_darkest_pixel(write: Write) -> None:
    stored = noise(0) + np.int16(100)
    stored[:5] = -2000
    stored[5] = -1990
    found = pixels_of(
        write("a.dcm", stored, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)
    )
    assert found.min() == stored[6:].min()
    assert np.array_equal(found[6:], stored[6:])


def test_padding_with_a_wrong_sign_is_found(write: Write) -> None:
    stored = noise(0) + np.int16(100)
    stored[:5] = -2000
    path = write("a.dcm", stored)
    content = pydicom.dcmread(path)
    content.add_new("PixelPaddingValue", "US", 63536)
    content.save_as(path)
    assert pixels_of(path).min() == stored[5:].min()


def test_color_and_frames_are_read(write: Write) -> None:
    color = noise(0, (10, 12, 3), "uint8")
    assert np.array_equal(pixels_of(write("c.dcm", color)), color)
    frames = noise(1, (5, 20, 30), "uint16")
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        path = write("f.dcm", frames, syntax=syntax)
        for number in range(5):
            assert np.array_equal(pixels_of(path, number), frames[number])
        assert decode_dicom(str(path)).has_pages
        assert not decode_dicom(str(path), 0).has_pages


@pytest.mark.parametrize(
    ("syntax", "encode", "tolerance"),
    [
        (JPEGLSLossless, imagecodecs.jpegls_encode, 0),
        (JPEGLosslessSV1, partial(imagecodecs.ljpeg_encode, bitspersample=12), 0),
        (JPEG2000Lossless, partial(imagecodecs.jpeg2k_encode, level=0, bitspersample=12), 0),
        (JPEGExtended12Bit, partial(imagecodecs.jpeg_encode, level=99, bitspersample=12), 9),
    ],
)
def test_compressed_frames_are_those_that_were_written(
    write: Write, syntax: str, encode: Callable[..., bytes], tolerance: float
) -> None:
    frames = noise(0, (3, 20, 28), "uint16")
    tags = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 1, "RescaleIntercept": -1024}
    path = write("a.dcm", frames, syntax=syntax, encode=encode, **tags)
    for number in range(3):
        found = pixels_of(path, number)
        np.testing.assert_allclose(found, frames[number] - 1024.0, atol=tolerance)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (JPEG2000Lossless, partial(imagecodecs.jpeg2k_encode, level=0, mct=False)),
        (ExplicitVRLittleEndian, None),
    ],
)
def test_ybr_is_converted_in_every_syntax(
    write: Write, syntax: str, encode: Callable[..., bytes] | None
) -> None:
    ybr = np.empty((16, 16, 3), np.uint8)
    ybr[:] = 80, 99, 213  # Red: 200, 30, 30.
    tags = {"PhotometricInterpretation": "YBR_FULL"}
    found = read_image(str(write("a.dcm", ybr, syntax=syntax, encode=encode, **tags)))
    assert not isinstance(found, UnreadableImage), found
    assert np.abs(found.pixels[0, 0].astype(int) - (200, 30, 30)).max() <= 2


def test_compressed_color_is_rgb(write: Write) -> None:
    ramp = np.linspace(0, 250, 32, dtype=np.uint8)
    color = np.stack(
        [np.tile(ramp, (32, 1)), np.tile(ramp[:, None], 32), np.full((32, 32), 99)], -1
    )
    color = color.astype(np.uint8)
    encode = partial(imagecodecs.jpeg_encode, level=98, subsampling="444")
    tags = {"PhotometricInterpretation": "YBR_FULL_422"}
    found = pixels_of(write("a.dcm", color, syntax=JPEGBaseline8Bit, encode=encode, **tags))
    assert np.abs(found.astype(int) - color).max() <= 6


@pytest.mark.parametrize(
    ("encode", "reason"),
    [
        (lambda it: imagecodecs.jpegls_encode(it[:10]), r"shape \(10, 24, 1\), not \(24, 24, 1\)"),
        (lambda it: imagecodecs.jpegls_encode(it)[:-9], "its JPEG-LS is truncated"),
        (lambda _: b"\xff\xd8" + b"\xff" * 40, "its JPEG has no frame"),
        (lambda it: imagecodecs.jpegls_encode(np.stack([it] * 3, -1)), r"shape \(24, 24, 3\)"),
    ],
    ids=["size", "truncated", "nothing", "components"],
)
def test_codestreams_that_lie_are_refused(
    write: Write, encode: Callable[..., bytes], reason: str
) -> None:
    """A size of its own could ask for any memory; truncated JPEG-LS takes CharLS ten seconds."""
    path = write("a.dcm", noise(0, dtype="uint16"), syntax=JPEGLSLossless, encode=encode)
    found = read_image(str(path))
    assert isinstance(found, UnreadableImage)
    assert re.search(reason, found.reason)


@pytest.mark.parametrize(
    ("name", "dtype", "low", "high"),
    [
        ("CT_small.dcm", "float32", -896, 1167),
        ("MR_small.dcm", "float32", 127, 2145),
        ("MR_small_RLE.dcm", "float32", 127, 2145),
        ("MR_small_bigendian.dcm", "float32", 127, 2145),
        ("JPEG2000.dcm", "float32", None, None),
        ("JPEG-lossy.dcm", "float32", 0, 264),
        ("examples_palette.dcm", "uint8", None, None),
        ("examples_ybr_color.dcm", "uint8", None, None),
    ],
)
def test_files_of_pydicom_are_read(
    name: str, dtype: str, low: float | None, high: float | None
) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("this pydicom comes without the file")
    found = decode_dicom(path, 0).pixels
    assert found.dtype == dtype
    if low is not None:
        assert (found.min(), found.max()) == (low, high)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pixels": None}, "a DICOM file without an image"),
        ({"NumberOfFrames": 10**7}, "its number of frames is 10000000"),
        ({"Rows": 60000, "Columns": 60000}, "Expected images of at most"),
        ({"Rows": 50}, "its pixels end early: there are fewer than 24 × 50"),
        ({"PhotometricInterpretation": "CMYK"}, "its colors are not supported: CMYK"),
        ({"PhotometricInterpretation": "GREY"}, "its colors are not supported: GREY"),
        ({"SamplesPerPixel": 2}, "its channels are not supported: 2"),
        ({"BitsAllocated": 24}, "its bits per value are not supported: 24"),
        ({"BitsStored": 99}, "its header is damaged: it uses 99 of 16 bits a value"),
        ({"PixelRepresentation": 7}, "its PixelRepresentation is not supported: 7"),
        ({"BitsStored": None, "PixelRepresentation": None},
         "its header lacks BitsStored and PixelRepresentation"),
        ({"syntax": HTJ2KLossless, "encode": lambda _: b"x"},
         "its transfer syntax is not supported: High-Throughput"),
    ],
    ids=[
        "no image", "frames", "size", "short", "colors", "unknown colors", "channels", "bits",
        "bits stored", "sign", "missing", "syntax",
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_say_why(
    write: Write, change: dict[str, Any], reason: str
) -> None:
    pixels = change.pop("pixels", noise(0))
    path = write("a.dcm", pixels, **change)
    try:
        found = read_image(str(path), 0)
        assert isinstance(found, UnreadableImage)
        assert found.reason.startswith(reason)
        assert not found.reason.endswith(".")
    except DataError as error:
        assert reason in str(error)  # noqa: PT017


def test_frame_that_is_not_there_is_unreadable(write: Write) -> None:
    for n_frames, reason in ((1, "it has 1 frame"), (3, "it has 3 frames")):
        path = write("a.dcm", noise(0, (n_frames, 24, 24)))
        assert reason_of(path, 5) == reason


def reason_of(path: Path, frame: int | None = None) -> str:
    found = read_image(str(path), frame)
    assert isinstance(found, UnreadableImage)
    return found.reason


def test_truncated_file_says_what_ends_early(write: Write) -> None:
    path = write("a.dcm", noise(0))
    content = path.read_bytes()
    at_pixels = content.index(b"\xe0\x7f\x10\0")
    for length, reason in (
        (len(content) - 1, "its pixels end early: there are fewer than 24 × 24"),
        (at_pixels + 12, "its pixels end early: there are fewer than 24 × 24"),
        (at_pixels - 3, "the file is truncated"),
        (200, "its header is damaged or ends early"),
        (100, "not a DICOM file"),
    ):
        path.write_bytes(content[:length])
        assert reason_of(path) == reason, length


def test_file_with_a_size_and_no_pixels_has_no_image(write: Write, tmp_path: Path) -> None:
    for number in range(6):
        write(f"{'ab'[number % 2]}/{number}.dcm", noise(number))
    path = write("a/empty.dcm", noise(9))
    content = pydicom.dcmread(path)
    del content.PixelData
    content.save_as(path)
    assert read_header(str(path)) == NoImage("a DICOM file without an image")
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    assert len(source.items) == 6
    assert any(re.search("without an image.*: a/empty.dcm$", it) for it in source.warnings)


def test_reasons_repeat_nothing_of_a_damaged_header(write: Write) -> None:
    path = write("a.dcm", noise(0), PatientName="SECRET", PatientID="SECRET")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    n_unreadable = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(128, len(content) - 24 * 48, 3):
            damaged[place] = rng.choice((0, 1, 255, rng.integers(256)))
        path.write_bytes(damaged)
        with decoder_warnings():
            found = read_image(str(path))
        if isinstance(found, UnreadableImage):
            n_unreadable += 1
            assert re.match("its |it does |a DICOM|not a DICOM|the file is|Expected", found.reason)
            assert "SECRET" not in found.reason
    assert n_unreadable > 50


PREAMBLE = 132
SYNTAXES_OF_OLD_FILES = (
    (ExplicitVRLittleEndian, None),
    (ImplicitVRLittleEndian, None),
    (ExplicitVRBigEndian, None),
    (RLELossless, None),
    (JPEGLSLossless, imagecodecs.jpegls_encode),
)


@pytest.mark.parametrize(("syntax", "encode"), SYNTAXES_OF_OLD_FILES)
def test_file_without_preamble_has_the_same_pixels(
    write: Write, syntax: str, encode: Callable[..., bytes] | None
) -> None:
    frames = noise(0, (2, 24, 24))
    stored = frames if encode is None else frames.astype(np.uint16)
    if syntax == ExplicitVRBigEndian:
        stored = stored.astype(">i2")
    path = write("a.dcm", stored, syntax=syntax, encode=encode, RescaleIntercept=-9)
    expected = [pixels_of(path, number) for number in range(2)]
    path.write_bytes(path.read_bytes()[PREAMBLE:])
    assert isinstance(read_header(str(path)), Header)
    for number in range(2):
        np.testing.assert_array_equal(pixels_of(path, number), expected[number])
        np.testing.assert_array_equal(expected[number], frames[number] - 9.0)


@pytest.mark.parametrize(("syntax", "encode"), SYNTAXES_OF_OLD_FILES)
def test_file_without_any_meta_information_is_read_if_it_is_not_compressed(
    write: Write, syntax: str, encode: Callable[..., bytes] | None
) -> None:
    stored = noise(0, dtype="uint16")
    if syntax == ExplicitVRBigEndian:
        stored = stored.astype(">u2")
    path = write("a.dcm", stored, syntax=syntax, encode=encode)
    content = path.read_bytes()
    path.write_bytes(content[PREAMBLE + 12 + int.from_bytes(content[140:144], "little") :])
    if syntax in (RLELossless, JPEGLSLossless):
        assert reason_of(path) == "it does not say its transfer syntax"
    else:
        np.testing.assert_array_equal(pixels_of(path), stored)


def test_deflated_file_without_preamble_is_refused(write: Write) -> None:
    path = write("a.dcm", noise(0), syntax=DeflatedExplicitVRLittleEndian)
    for content in (path.read_bytes(), path.read_bytes()[PREAMBLE:]):
        path.write_bytes(content)
        assert reason_of(path) == "its deflated transfer syntax is not supported"


def test_files_without_preamble_and_extension_are_found(write: Write, tmp_path: Path) -> None:
    for number in range(6):
        path = write(f"{'ab'[number % 2]}/IM{number}", noise(number), PatientID=f"P{number}")
        path.write_bytes(path.read_bytes()[PREAMBLE:])
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    assert len(source.items) == 6
    assert source.items[0].group == "patient 1"
    np.testing.assert_array_equal(source.read(0).pixels, noise(0))


def test_missing_decoder_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.dcm", noise(0, dtype="uint16"), syntax=JPEGLSLossless,
                 encode=imagecodecs.jpegls_encode)  # fmt: skip
    monkeypatch.setattr("search.data.dicom.pixels.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"Reading .*a.dcm needs imagecodecs: pip install"):
        read_image(str(path))


@pytest.mark.parametrize("length", [0, 1, 7])
@pytest.mark.timeout(60)
def test_boxes_that_lead_nowhere_are_not_followed(write: Write, length: int) -> None:
    """pydicom alone would read a file with a box of length 0 for ever."""

    def encode(pixels: np.ndarray) -> bytes:
        found = bytearray(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2"))
        assert found[4:8] == b"jP  "
        assert found[16:20] == b"ftyp"
        found[12:16] = length.to_bytes(4, "big")
        return bytes(found)

    path = write("a.dcm", noise(0, dtype="uint16"), syntax=JPEG2000Lossless, encode=encode)
    assert isinstance(read_image(str(path)), UnreadableImage)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_damaged_files_are_unreadable(write: Write, tmp_path: Path) -> None:
    content = write("a.dcm", noise(0)).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.dcm"
    for length in (0, 100, 131, 140, 300, len(content) - 10):
        path.write_bytes(content[:length])
        assert isinstance(read_image(str(path)), UnreadableImage), length
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_image(str(path))
        except DataError:
            continue


def write_set(write: Write, n_patients: int = 8, n_slices: int = 4, **tags: Any) -> None:
    """Write slices of patients, half of them healthy, without extensions."""
    for patient in range(n_patients):
        for number in range(n_slices):
            write(
                f"{'ab'[patient % 2]}/P{patient}/IM{number:04}",
                noise(100 * patient + number),
                PatientID=f"SECRET-{patient}",
                PatientName=f"Doe^{patient}",
                StudyInstanceUID=f"{UID}{patient}.{number // 2}",
                SeriesInstanceUID=f"{UID}{patient}.{number // 2}.1",
                **tags,
            )


def prepared(tmp_path: Path, **options: Any) -> PreparedSet:
    settings = DataSettings(source=str(tmp_path / "set"), image_size=16, **options)
    return prepare(settings, tmp_path / "cache")


def test_patients_are_groups_by_themselves(write: Write, tmp_path: Path) -> None:
    write_set(write)
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    assert len({item.group for item in source.items}) == 8
    assert source.items[0].group == "patient 1"
    assert any("8 groups, the largest of 4 files" in it for it in source.warnings)
    found = prepared(tmp_path)
    groups = [set(found.groups(split) or []) for split in ("train", "val", "test")]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups)) == 8
    content = found.path.read_bytes()
    assert b"SECRET" not in content
    assert b"Doe" not in content


@pytest.mark.parametrize(
    ("tags", "group", "reason"),
    [
        ({"PatientID": "DEV"}, "study 1", "PatientID is the same in all files"),
        ({"PatientID": ""}, "study 1", "PatientID has no value in any of the files"),
        ({"PatientID": "X", "StudyInstanceUID": f"{UID}1"}, "series 1", "StudyInstanceUID is the"),
    ],
    ids=["same", "missing", "same study"],
)
def test_identifiers_that_tell_no_patients_apart_are_noticed(
    write: Write, tmp_path: Path, tags: dict[str, str], group: str, reason: str
) -> None:
    for patient in range(8):
        for number in range(4):
            values = {
                "PatientID": f"P{patient}",
                "StudyInstanceUID": f"{UID}{patient}",
                "SeriesInstanceUID": f"{UID}{patient}.1",
            }
            write(
                f"{'ab'[patient % 2]}/{patient}{number}",
                noise(9 * patient + number),
                **values | tags,
            )
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    assert source.items[0].group == group
    assert any(reason in it for it in source.warnings)


def test_one_patient_for_each_class_is_no_group(write: Write, tmp_path: Path) -> None:
    for name in "ab":
        for number in range(6):
            write(
                f"{name}/{number}",
                noise(number + 10 * ord(name)),
                PatientID=name,
                StudyInstanceUID=UID + str(ord(name)),
                SeriesInstanceUID=f"{UID}{ord(name)}.1",
            )
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    assert {item.group for item in source.items} == {""}
    assert any("PatientID has one value for each class" in it for it in source.warnings)
    with pytest.raises(DataError, match="--group-tag finds no groups: PatientID has one"):
        open_source(DataSettings(source=str(tmp_path / "set"), group_tag="PatientID"))


def test_groups_that_are_perhaps_no_patients_are_noticed(write: Write, tmp_path: Path) -> None:
    for patient in range(8):
        for number in range(4):
            is_anonymous = number and patient < 7
            uid = "7" if is_anonymous else f"{patient}{number}"
            tags = {
                "PatientID": "ANON" if is_anonymous else f"P{patient}{number}",
                "StudyInstanceUID": f"{UID}{uid}",
                "SeriesInstanceUID": f"{UID}{uid}.1",
            }
            write(f"{'ab'[patient % 2]}/{patient}{number}", noise(9 * patient + number), **tags)
    where = str(tmp_path / "set")
    notes = open_source(DataSettings(source=where)).warnings
    assert any("one group has 21 of 32 DICOM files and all classes" in it for it in notes)
    assert not any("ANON" in it for it in notes)
    for path in (tmp_path / "set").rglob("[0-9][1-3]"):
        path.unlink()
    notes = open_source(DataSettings(source=where)).warnings
    assert any("each DICOM file is a group of its own" in it for it in notes)


def test_files_of_a_table_are_chosen_by_tags_and_said_to_be_localizers(
    write: Write, tmp_path: Path
) -> None:
    rows = ["path,label,view"]
    for number in range(12):
        write(
            f"{number}.dcm",
            noise(number),
            Modality="MR" if number < 8 else "CT",
            ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER" if number == 0 else "MOSAIC"],
            BurnedInAnnotation="YES",
        )
        rows.append(f"{number}.dcm,{'ab'[number % 2]},AP")
    table = tmp_path / "set" / "t.csv"
    table.write_text("\n".join(rows))
    found = open_source(DataSettings(source=str(table), where=("view=AP", "Modality=MR")))
    assert len(found.items) == 8
    notes = " ".join(found.warnings)
    assert "4 DICOM files left out by --where Modality=MR" in notes
    assert "1 DICOM file with a localizer, which the table lists" in notes
    assert "7 DICOM files with a mosaic" in notes
    assert "8 DICOM files with text in the image" in notes
    with pytest.raises(DataError, match="No DICOM image is left of 12 files"):
        open_source(DataSettings(source=str(table), where=("Modality=XX",)))
    with pytest.raises(DataError, match="--where PatientID would store an identifier"):
        open_source(DataSettings(source=str(table), where=("PatientID=1",)))
    table.write_text("\n".join([rows[0], *(f"{i}.dcm,{'ab'[i >= 8]},AP" for i in range(12))]))
    only = open_source(DataSettings(source=str(table), where=("Modality=MR",)))
    assert only.classes == ("a",)  # The other class has no row any more.
    with pytest.raises(DataError, match="Expected at least 2 classes"):
        inspect_source(DataSettings(source=str(table), where=("Modality=MR",)))


def test_tags_that_tell_the_classes_are_noticed(write: Write, tmp_path: Path) -> None:
    rows = ["path,label,Site"]
    for patient in range(16):
        name, is_b = "ab"[patient % 2], patient % 2
        tags = {
            "Manufacturer": ("SIEMENS", "GE")[is_b],
            "KVP": 120,
            "PatientSex": "FM"[patient % 3 > 0],
        }
        for number in range(3):
            place = f"{name}/{patient:02}{number}.dcm"
            write(place, noise(9 * patient + number), PatientID=f"P{patient}", **tags)
            rows.append(f"{place},{name},{'east' if is_b else 'west'}")
    (tmp_path / "set" / "table.csv").write_text("\n".join(rows))
    expected = (
        "the DICOM tag Manufacturer tells the class of 100% of the images (by chance 50%): a"
        " network can learn how they were taken instead of what they show"
    )
    for source, others in (
        ("set", []),
        ("set/table.csv", [expected.replace("DICOM tag Manufacturer", "column 'Site'")]),
    ):
        settings = DataSettings(source=str(tmp_path / source), image_size=16)
        notes = [it for it in inspect_source(settings).warnings if "how they were taken" in it]
        assert sorted(notes) == sorted([expected, *others])


def test_table_of_contents_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    with pytest.raises(DataError, match=f"Give the folder that it is in: {tmp_path}$"):
        open_source(DataSettings(source=str(tmp_path / "DICOMDIR")))


def test_files_are_chosen_by_tags(write: Write, tmp_path: Path) -> None:
    for name in "ab":
        for number in range(6):
            write(
                f"{name}/{number}.dcm",
                noise(number + 10 * ord(name)),
                Modality="MR" if number < 4 else "CT",
                ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER" if number == 0 else "M"],
            )
    write("a/report.dcm", None)
    directory = Path(get_testdata_file("dicomdirtests/DICOMDIR", download=False) or "")
    (tmp_path / "set" / "a" / "DICOMDIR").write_bytes(directory.read_bytes())
    where = str(tmp_path / "set")
    assert len(open_source(DataSettings(source=where)).items) == 10
    chosen = open_source(DataSettings(source=where, where=("Modality=MR",)))
    assert len(chosen.items) == 6
    notes = " ".join(chosen.warnings)
    assert "2 DICOM files left out (a localizer): a/0.dcm, b/0.dcm" in notes
    assert "1 DICOM file left out (a DICOM file without an image): a/report.dcm" in notes
    assert "1 DICOM file left out (a DICOM directory, not an image): a/DICOMDIR" in notes
    assert "4 DICOM files left out by --where Modality=MR" in notes
    localizers = open_source(DataSettings(source=where, where=("ImageType=LOCALIZER",)))
    assert [it.name for it in localizers.items] == ["a/0.dcm", "b/0.dcm"]
    for condition, message in (
        ("PatientID=SECRET-1", "would store an identifier of a patient"),
        ("Modality=PT", "No DICOM image is left of 14 files"),
        ("Modalty=MR", "Expected keywords of DICOM tags for --where.*'Modalty'"),
        ("Modality", "Expected --where TAG=VALUE"),
    ):
        with pytest.raises(DataError, match=message):
            open_source(DataSettings(source=where, where=(condition,)))


def frames_with_own_slopes(n_frames: int) -> Sequence:
    """Return per-frame groups: the slope of frame 0 is 1, that of frame 1 is 2, ..."""

    def group(number: int) -> pydicom.Dataset:
        rescale, found = pydicom.Dataset(), pydicom.Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = number + 1, 0
        found.PixelValueTransformationSequence = [rescale]
        return found

    return Sequence([group(number) for number in range(n_frames)])


def test_file_of_many_frames_is_parsed_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noise(0, (4, 20, 28), "uint16")
    groups = frames_with_own_slopes(4)
    path = str(write("a.dcm", frames, PerFrameFunctionalGroupsSequence=groups))
    headers: list[str] = []
    monkeypatch.setattr(
        "search.data.dicom.pixels.read_header", lambda it: headers.append(it) or read_header(it)
    )
    for number in (1, 0, 3, 2):
        assert np.array_equal(decode_dicom(path, number).pixels, frames[number] * (number + 1.0))
    assert headers == [path]
    write("a.dcm", frames[::-1])
    assert np.array_equal(decode_dicom(path, 1).pixels, frames[2])


@pytest.mark.parametrize("group_tag", ["auto", "none"])
def test_frames_stay_together_without_identifiers(
    write: Write, tmp_path: Path, group_tag: str
) -> None:
    for number in range(8):
        frames = noise(number, (3, 20, 20), "uint16")
        write(f"{'ab'[number % 2]}/{number}.dcm", frames, PatientID="DEV")
    found = prepared(tmp_path, group_tag=group_tag)
    groups = [set(found.groups(split) or []) for split in ("train", "val", "test")]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 8


def test_files_that_share_any_identifier_stay_together(write: Write, tmp_path: Path) -> None:
    """A patient without a number in one file, or with a number for each file, is not divided."""
    for patient in range(8):
        for number in range(4):
            tags = {"PatientID": f"P{patient}", "StudyInstanceUID": f"{UID}{patient}.{number}"}
            if patient == 0 and number == 3:
                tags = {"StudyInstanceUID": f"{UID}{patient}.0"}
            if patient == 1:
                tags = {"PatientID": f"Q{number}", "SeriesInstanceUID": f"{UID}1.9"}
            name = f"{'ab'[patient % 2]}/{patient}{number}"
            write(name, noise(9 * patient + number), **tags)
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    by_patient = {}
    for item in source.items:
        by_patient.setdefault(item.name[2], set()).add(item.group)
    assert all(len(groups) == 1 for groups in by_patient.values())
    assert len(set.union(*by_patient.values())) == 8


def test_dicom_of_a_manifest_has_groups(write: Write, tmp_path: Path) -> None:
    write_set(write)
    names = sorted(it.relative_to(tmp_path) for it in (tmp_path / "set").rglob("IM*"))
    table = tmp_path / "table.csv"
    table.write_text("path,label\n" + "".join(f"{it},{it.parts[1]}\n" for it in names))
    source = open_source(DataSettings(source=str(table)))
    assert len({item.group for item in source.items}) == 8


def test_uids_in_a_manifest_mean_the_files_that_have_them(
    write: Write, tmp_path: Path, cache_dir: Path
) -> None:
    write_set(write, 12, 2)
    write("one", noise(9999), PatientID="SECRET-1", SOPInstanceUID=f"{UID}7.7.7.7")
    rows = [f"{UID}{patient}.0.1,{'ab'[patient // 2 % 2]}" for patient in range(11)]
    rows += [f"{UID}7.7.7.7,b", f"{UID}99,a"]  # An image, and nothing.
    table = tmp_path / "set" / "labels.csv"
    table.write_text("\n".join(["SeriesInstanceUID,label", *rows]) + "\n")
    source = open_source(DataSettings(source=str(table)))
    labels = {it.name: source.classes[it.label] for it in source.items}
    assert len(labels) == 11 * 2 + 1
    assert labels["one"] == labels["a/P2/IM0000"] == labels["b/P3/IM0001"] == "b"
    assert labels["a/P0/IM0001"] == labels["b/P1/IM0000"] == "a"
    data = prepare(DataSettings(source=str(table), image_size=8), cache_dir)
    notes = " ".join(data.metadata["warnings"])
    assert "23 DICOM files found by UID" in notes
    assert "row 14 of labels.csv (a DICOM UID: there is no such file)" in notes
    assert UID not in notes


def test_frames_of_a_manifest_are_images_of_one_group(write: Write, tmp_path: Path) -> None:
    rows = []
    for i in range(4):
        write(f"s{i}", noise(i, (3, 24, 24), "uint8"), PatientID=f"P{i}")
        rows.append(f"s{i},{'ab'[i % 2]}")
    table = tmp_path / "set" / "table.csv"
    table.write_text("image,label\n" + "\n".join(rows))
    source = open_source(DataSettings(source=str(table)))
    assert [it.name for it in source.items[:4]] == ["s0#1", "s0#2", "s0#3", "s1#1"]
    assert len({it.group for it in source.items}) == 4


def test_every_row_of_a_manifest_is_used(write: Write, tmp_path: Path) -> None:
    """Localizers too, since somebody listed them. Not every file without extension is DICOM."""
    for number in range(4):
        tags = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]} if number == 0 else {}
        write(f"IM{number}", noise(number), PatientID=f"P{number % 3}", **tags)
    Image.fromarray(noise(9, dtype="uint8")).save(tmp_path / "set" / "picture", format="PNG")
    table = tmp_path / "set" / "table.csv"
    names = ["IM0", "IM1", "IM2", "IM3", "picture"]
    table.write_text(
        "path,label\n" + "".join(f"{it},{'ab'[i % 2]}\n" for i, it in enumerate(names))
    )
    source = open_source(DataSettings(source=str(table)))
    assert [it.group for it in source.items] == [
        "patient 1", "patient 2", "patient 3", "patient 1", "",
    ]  # fmt: skip
    assert not any("left out" in it for it in source.warnings)


def test_frames_are_images_of_one_group(write: Write, tmp_path: Path) -> None:
    for patient in range(8):
        write(
            f"{'ab'[patient % 2]}/{patient}.dcm",
            noise(patient, (3, 20, 20), "uint16"),
            PatientID=f"P{patient}",
        )
    source = open_source(DataSettings(source=str(tmp_path / "set")))
    assert len(source.items) == 24
    assert [it.name for it in source.items[:2]] == ["a/0.dcm#1", "a/0.dcm#2"]
    assert source.items[0].group == source.items[2].group != source.items[3].group
    found = prepared(tmp_path)
    assert sum(found.counts.values()) == 24
    assert not any("several pages" in it for it in found.metadata["warnings"])


def test_options_of_dicom_have_no_meaning_without_it(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(noise(0, dtype="uint8")).save(tmp_path / name / "1.png")
    (tmp_path / "table.csv").write_text("path,label\na/1.png,a\nb/1.png,b\n")
    tag = {"group_tag": "PatientID"}
    for source, options in (
        (str(tmp_path), {"where": ("a=b",)}),
        (str(tmp_path), tag),
        (str(tmp_path / "table.csv"), tag),
        ("demo", tag),
    ):
        flag = "--" + next(iter(options)).replace("_", "-")
        with pytest.raises(DataError, match=f"{flag} cannot be used with"):
            open_source(DataSettings(source=source, **options))


def test_window_is_in_the_units_of_the_scanner(write: Write, tmp_path: Path) -> None:
    """Air and bone of a CT, stored with different intercepts, are the same grey."""
    for i in range(12):
        intercept = -1024 if i % 2 else -1000
        values = np.full((20, 20), -160 - intercept, np.int16)
        values[:10] = 240 - intercept
        values[0, :10] = noise(i, (10,))
        write(
            f"{'ab'[i % 2]}/{i}",
            values,
            RescaleSlope=1,
            RescaleIntercept=intercept,
            PatientID=f"P{i}",
        )
    found = prepared(tmp_path, window="40/400")
    images = found.images("train")
    assert images[:, 15].max() == 0
    assert images[:, 5].min() == 255


def test_window_of_most_files_is_that_of_the_set(write: Write, tmp_path: Path) -> None:
    for i in range(12):
        window = {"WindowCenter": [40, 300], "WindowWidth": [400, 1500]}
        other = {"WindowCenter": 400, "WindowWidth": 1800} if i == 3 else {}
        values = noise(i, (20, 20))
        write(
            f"{'ab'[i % 2]}/{i}", values, PatientID=f"P{i}", **(window | other if i != 5 else {})
        )
    found = prepared(tmp_path, window="file")
    assert found.pixel_range == (-160, 240)
    assert (
        "-160 to 240, the window of most files, is not that of 2 images: one window is used"
        in (" ".join(found.metadata["warnings"]))
    )


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"WindowCenter": 40, "WindowWidth": 400}, (-160, 240)),
        ({"WindowCenter": 40, "WindowWidth": 0}, None),
        ({"WindowCenter": "", "WindowWidth": 400}, None),
        ({}, None),
    ],
)
def test_window_is_the_first_that_a_file_proposes(
    write: Write, tags: dict[str, Any], expected: tuple[float, float] | None
) -> None:
    assert decode_dicom(str(write("a", noise(0), **tags))).window == expected


def test_window_of_an_inverted_image_is_inverted_too(write: Write) -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    path = write("a", noise(0, dtype="uint16"), WindowCenter=1000, WindowWidth=200, **tags)
    assert decode_dicom(str(path)).window == (4095 - 1100, 4095 - 900)


def test_window_of_files_needs_one(write: Write, tmp_path: Path) -> None:
    write_set(write)
    with pytest.raises(DataError, match="--window file: no training image proposes a window"):
        prepared(tmp_path, window="file")


def test_prediction_sees_what_training_saw(write: Write, tmp_path: Path) -> None:
    write_set(write, RescaleSlope=2, RescaleIntercept=-500)
    found = prepared(tmp_path)
    trained = [image.tobytes() for split in found.counts for image in found.images(split)]
    files = [it for it in (tmp_path / "set").rglob("IM*") if it.is_file()]
    assert len(files) == len(trained) == 32
    for path in files:
        image = prepare_image(path, 16, 1, "auto", found.pixel_range, fit=found.fit)
        assert isinstance(image, PreparedImage)
        assert image.pixels.tobytes() in trained


def test_inspect_of_dicom_says_what_is_there(write: Write, tmp_path: Path) -> None:
    write_set(write, BurnedInAnnotation="YES")
    found = inspect_source(DataSettings(source=str(tmp_path / "set")))
    assert (found.n_groups, found.n_largest_group) == (8, 4)
    assert found.pixel_types == {"float32": 32}
    assert any("32 DICOM files with text in the image" in it for it in found.warnings)


def test_headers_of_odd_files(write: Write, tmp_path: Path) -> None:
    assert isinstance(read_header(str(write("a", noise(0)))), Header)
    assert isinstance(read_header(str(write("b", None))), NoImage)
    (tmp_path / "c").write_bytes(bytes(500))
    assert isinstance(read_header(str(tmp_path / "c")), UnreadableImage)


def test_folder_of_unreadable_files_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.dcm").write_bytes(b"x" * number)
    with pytest.raises(DataError, match="None of the 3 images of class 'a' can be read"):
        prepare(DataSettings(source=str(tmp_path)), tmp_path / "cache")
