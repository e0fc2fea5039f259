"""Volumes: slices as an independent reading has them, rules, groups, masks, and damaged files."""

import gzip
import os
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.testing import data_path

from search.data import DataSettings, inspect_source, prepare
from search.data.inference_images import PreparedImage, prepare_image
from search.data.open_source import open_source
from search.data.read_image import read_image
from search.data.source_api import Decoded, UnreadableImage
from search.data.volumes import volume as volume_module
from search.data.volumes.slices import AXES, Slice, parse_slices
from search.data.volumes.volume import VOLUME_ERRORS, read_slice, read_volume
from search.errors import DataError

UPRIGHT = np.diag([2.0, 2.0, 2.0, 1.0])
"""An affine whose axes run to the right, front and head."""


def noise(seed: int, shape: tuple[int, ...] = (10, 12, 8), dtype: str = "int16") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray = UPRIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nibabel.Nifti2Image if "nifti2" in path.name else nibabel.Nifti1Image
    kind(voxels, affine, dtype=voxels.dtype).to_filename(path)
    return path


def pixels_of(path: Path, frame: Slice | None = None) -> np.ndarray:
    found = read_image(str(path), frame)
    assert isinstance(found, Decoded), found
    return found.pixels


def reason_of(path: Path) -> str:
    found = read_image(str(path))
    assert isinstance(found, UnreadableImage)
    return found.reason


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", "-nifti2.nii", "-nifti2.nii.gz"])
@pytest.mark.parametrize("axes", ["RAS", "LPS", "PSL", "IRP"])
def test_slices_are_upright_whatever_the_order_of_the_file(
    tmp_path: Path, axes: str, suffix: str
) -> None:
    voxels = noise(0)  # x to the right, y to the front, z to the head
    wanted = nibabel.orientations.axcodes2ornt(axes)
    stored = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, UPRIGHT)).as_reoriented(
        wanted
    )
    path = write_nifti(tmp_path / f"a{suffix}", np.asarray(stored.dataobj), stored.affine)
    assert np.array_equal(pixels_of(path, Slice(2, 3)), voxels[::-1, ::-1, 3].T)
    assert np.array_equal(pixels_of(path, Slice(1, 5)), voxels[::-1, 5, ::-1].T)
    assert np.array_equal(pixels_of(path, Slice(0, 7)), voxels[7, ::-1, ::-1].T)


FILES = (
    "anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "functional.nii",
    "reoriented_anat_moved.nii", "standard.nii.gz",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_of_nibabel_are_read_as_nibabel_reads_them(name: str) -> None:
    path = Path(data_path) / name
    image: Any = nibabel.as_closest_canonical(nibabel.load(path))
    voxels = image.get_fdata().reshape(*image.shape[:3], -1)
    number = voxels.shape[3] - 1
    for axis in range(3):
        middle = voxels.shape[axis] // 2
        expected = voxels[..., number].take(middle, axis)[::-1, ::-1].T
        found = pixels_of(path, Slice(axis, middle, number))
        assert np.array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nifti1.hdr", "its voxels are in another file"),
        ("nifti2.hdr", "its voxels are in another file"),
        ("analyze.hdr", "not a NIfTI file"),
        ("minc1_4d.mnc", "not a NIfTI file"),
        ("test.mgz", "not a NIfTI file"),
        ("empty.trk", "not a NIfTI file"),
    ],
)
def test_other_files_of_nibabel_say_why_not(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes((Path(data_path) / name).read_bytes())
    assert reason in reason_of(path)


def test_values_are_those_that_are_measured(tmp_path: Path) -> None:
    stored = noise(0, dtype="int16")
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(stored, UPRIGHT)
    image.header.set_slope_inter(0.5, -3)
    nibabel.Nifti1Image(stored, UPRIGHT, image.header).to_filename(path)
    header = bytearray(path.read_bytes())
    header[112:120] = np.array([0.5, -3], "<f4").tobytes()  # nibabel rescales what it writes.
    path.write_bytes(header)
    found = pixels_of(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, stored[::-1, ::-1, 0].T * 0.5 - 3)


def test_8_bits_stay_8_bits_and_nan_is_dark(tmp_path: Path) -> None:
    assert pixels_of(write_nifti(tmp_path / "a.nii", noise(0, dtype="uint8"))).dtype == np.uint8
    voxels = noise(0).astype(np.float32)
    voxels[2:4, 3:, 0] = np.nan
    found = pixels_of(write_nifti(tmp_path / "b.nii", voxels))
    assert found.min() == np.nanmin(voxels[..., 0])
    assert (found == found.min()).sum() >= 2 * 9


def test_window_is_that_of_the_file(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(noise(0), UPRIGHT)
    image.header["cal_min"], image.header["cal_max"] = -5, 80
    image.to_filename(tmp_path / "a.nii")
    found = read_image(str(tmp_path / "a.nii"), Slice(2, 1))
    assert isinstance(found, Decoded)
    assert found.window == (-5, 80)


def test_colors_are_kept(tmp_path: Path) -> None:
    rgb = np.zeros((6, 5, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for seed, name in enumerate("RGB"):
        rgb[name] = noise(seed, rgb.shape, "uint8")
    found = pixels_of(write_nifti(tmp_path / "a.nii", rgb), Slice(2, 1))
    assert found.shape == (5, 6, 3)
    assert np.array_equal(found[..., 1], rgb["G"][::-1, ::-1, 1].T)


@pytest.mark.parametrize(
    ("text", "n_slices", "numbers"),
    [
        ("axial", 4, [0, 1, 2, 3]),
        ("axial:40%-60%", 10, [4, 5]),
        ("axial:50%", 10, [5]),
        ("axial:0%-100%:every 4", 10, [0, 4, 8]),
        ("sagittal:every 5", 11, [0, 5, 10]),
        ("coronal:3-5", 10, [2, 3, 4]),
        ("coronal:3", 10, [2]),
        ("coronal:9-20:every 2", 10, [8]),
        ("coronal:11-20", 10, []),
        ("axial:99%-100%", 3, [2]),
        ("Axial:Every 2", 3, [0, 2]),
    ],
)
def test_rules_choose_slices(text: str, n_slices: int, numbers: list[int]) -> None:
    assert list(parse_slices(text).numbers(n_slices)) == numbers


EXPECTED = "Expected axial, coronal or sagittal, and optionally"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (it, EXPECTED)
            for it in ("", "axial:", "axial:3-40%", "axial:-3", "oblique", "axial:5-")
        ),
        ("axial:60%-40%", "whose end is not before its beginning"),
        ("axial:0-3", "Expected numbers of slices from 1"),
        ("axial:101%", "at most 100 %"),
        ("axial:every 0", "a step of at least 1"),
        ("axial:1-2:every 2:x", EXPECTED),
    ],
)
def test_other_rules_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse_slices(text)
    assert f"Received: {text!r}" in str(error.value)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Return a folder with two classes of six patients with a volume of ten slices each."""
    folder = tmp_path / "set"
    for number in range(12):
        voxels = noise(number, (12, 12, 10)) * (1 + number % 2)
        write_nifti(folder / "ab"[number % 2] / f"case{number}.nii.gz", voxels)
    return folder


def settings_of(folder: Path, **values: Any) -> DataSettings:
    return DataSettings(**{"source": str(folder), "image_size": 12, **values})


def test_slices_of_a_volume_stay_in_one_split(volumes: Path, tmp_path: Path) -> None:
    data = prepare(settings_of(volumes, slices="axial:20%-80%"), tmp_path / "cache")
    assert sum(data.counts.values()) == 12 * 6
    assert data.metadata["n_groups"] == 12
    groups = [set(data.groups(split) or ()) for split in data.counts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12
    warnings = " ".join(data.metadata["warnings"])
    assert "12 volumes: 72 axial slices of them are images (--slices axial:20%-80%)" in warnings
    assert "--group-from finds the patient" in warnings


def test_items_are_named_by_the_number_of_their_slice(volumes: Path) -> None:
    source = open_source(settings_of(volumes, slices="sagittal:3-5"))
    assert [it.name for it in source.items[:4]] == [
        "a/case0.nii.gz#3", "a/case0.nii.gz#4", "a/case0.nii.gz#5", "a/case10.nii.gz#3",
    ]  # fmt: skip
    found = source.read(1)
    assert isinstance(found, Decoded)
    assert np.array_equal(found.pixels, noise(0, (12, 12, 10))[3, ::-1, ::-1].T)


def test_patients_are_found_in_paths(volumes: Path) -> None:
    source = open_source(settings_of(volumes, group_from=r"case(\d)"))
    assert {it.group for it in source.items} == set("0123456789")
    assert not any("--group-from" in it for it in source.warnings)


def test_prediction_sees_what_training_saw(volumes: Path, tmp_path: Path) -> None:
    data = prepare(settings_of(volumes, slices="coronal:50%"), tmp_path / "cache")
    images = [image for split in data.counts for image in data.images(split)]
    fitted = prepare_image(
        volumes / "a/case0.nii.gz",
        12,
        1,
        "auto",
        data.pixel_range,
        fit=data.fit,
        frame=Slice(1, 6),
    )
    assert isinstance(fitted, PreparedImage)
    assert any(np.array_equal(fitted.pixels, it) for it in images)


def test_rows_of_a_manifest_become_slices(volumes: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{'ab'[i % 2]}/case{i}.nii.gz,{'xy'[i % 2]},p{i // 2}" for i in range(12)]
    table.write_text("image,label,patient\n" + "\n".join(rows))
    settings = settings_of(table, root=str(volumes), slices="axial:1-3")
    source = open_source(settings)
    assert len(source.items) == 36
    assert source.items[1].name == "a/case0.nii.gz#2"
    assert {it.group for it in source.items} == {f"p{i}" for i in range(6)}
    first = prepare(settings, tmp_path / "cache")
    second = prepare(settings_of(table, root=str(volumes), slices="axial:2-4"), tmp_path / "cache")
    assert first.fingerprint != second.fingerprint


def test_table_may_number_slices_and_pages(volumes: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"a/case0.nii.gz,{i + 1},{'xy'[i % 2]}" for i in range(4)]
    rows += [f"b/case1.nii.gz,{i}.0,{'xy'[i % 2]}" for i in (7, 10)]
    table.write_text("image,slice,label\n" + "\n".join(rows))
    settings = settings_of(table, root=str(volumes), frame_column="slice", slices="coronal")
    source = open_source(settings)
    assert [it.name.partition("#")[2] for it in source.items] == ["1", "2", "3", "4", "7", "10"]
    assert [it.group for it in source.items] == ["file #1"] * 4 + ["file #2"] * 2
    assert source.classes == ("x", "y")
    found = source.read(2)
    assert isinstance(found, Decoded)
    assert np.array_equal(found.pixels, noise(0, (12, 12, 10))[::-1, 2, ::-1].T)
    before = source.identity()
    table.write_text(table.read_text().replace(",10.0,", ",9,"))
    assert open_source(settings).identity() != before


@pytest.mark.parametrize("cell", ["0", "-1", "a", "", "1.5", "99999999999999"])
def test_numbers_of_slices_begin_with_1(volumes: Path, tmp_path: Path, cell: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"image,slice,label\na/case0.nii.gz,1,x\nb/case1.nii.gz,{cell},y\n")
    with pytest.raises(DataError, match=r"Expected a whole number from 1 .*'slice'.*row 3 of"):
        open_source(settings_of(table, root=str(volumes), frame_column="slice"))


def test_number_of_an_image_that_is_alone_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    table = tmp_path / "table.csv"
    table.write_text("image,n,label\nx.png,2,a\n")
    with pytest.raises(DataError, match=r"x.png has one image only. Received: number 2"):
        open_source(settings_of(table, frame_column="n"))


def test_volume_is_chosen_of_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_nifti(tmp_path / name / "x.nii", noise(ord(name), (6, 6, 4, 3)))
    source = open_source(settings_of(tmp_path, volume=2))
    found = source.read(0)
    assert isinstance(found, Decoded)
    assert np.array_equal(found.pixels, noise(ord("a"), (6, 6, 4, 3))[::-1, ::-1, 0, 1].T)
    assert any("2 files with several volumes: number 2 is used" in it for it in source.warnings)
    with pytest.raises(DataError, match=r"Expected volumes that have the slices.*--volume 4"):
        open_source(settings_of(tmp_path, volume=4))


def write_masked(folder: Path, names: Callable[[int], tuple[str, str]], n: int = 4) -> None:
    """Write volumes with masks: slices 2 and 3 of each are marked."""
    mask = np.zeros((10, 12, 8), np.uint8)
    mask[4:6, 5, 2:4] = 1
    for number in range(n):
        image, its_mask = names(number)
        write_nifti(folder / image, noise(number))
        write_nifti(folder / its_mask, mask)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("labelsTr/*", lambda i: (f"imagesTr/hip_{i}.nii.gz", f"labelsTr/hip_{i}.nii.gz")),
        ("labelsTr/*", lambda i: (f"imagesTr/hip_{i}_0000.nii.gz", f"labelsTr/hip_{i}.nii.gz")),
        ("*_seg.nii.gz", lambda i: (f"B_{i}/B_{i}_t1.nii.gz", f"B_{i}/B_{i}_seg.nii.gz")),
        ("*_seg.nii", lambda i: (f"c{i}.nii", f"c{i}_seg.nii")),
        ("seg.nii", lambda i: (f"p{i}/t1.nii", f"p{i}/seg.nii")),
    ],
)
def test_masks_say_which_slices_are_marked(
    tmp_path: Path, pattern: str, names: Callable[[int], tuple[str, str]]
) -> None:
    write_masked(tmp_path, names, 12)
    source = open_source(settings_of(tmp_path, masks=pattern))
    assert source.classes == ("marked", "not marked")
    marked = {it.name.rpartition("#")[2] for it in source.items if it.label == 0}
    assert marked == {"3", "4"}
    assert len(source.items) == 12 * 8
    assert len({it.group for it in source.items}) == 12
    assert (
        "12 volumes with 12 masks: 24 slices (--slices axial) have a marked voxel, 72 have none"
        in (source.warnings)
    )


def test_volumes_that_cannot_be_used_are_left_out_and_said(tmp_path: Path) -> None:
    write_masked(tmp_path, lambda i: (f"c{i}.nii", f"c{i}_seg.nii"), 8)
    settings = settings_of(tmp_path, masks="*_seg.nii")
    (tmp_path / "c0_seg.nii").unlink()
    write_nifti(tmp_path / "c1_seg.nii", noise(0, (3, 3, 3)))
    write_nifti(tmp_path / "c2_seg.nii", noise(0), np.diag([2, 2, -2, 1]))
    write_nifti(tmp_path / "c3_seg.nii", noise(0, (10, 12, 8, 2)))
    (tmp_path / "c4.nii").write_bytes(b"no volume")
    (tmp_path / "c5_seg.nii").write_bytes(b"no mask")
    source = open_source(settings)
    assert {it.file for it in source.items} == {"c6.nii", "c7.nii"}
    with pytest.raises(DataError) as error:
        open_source(settings.model_copy(update={"strict": True}))
    said = [it for it in source.warnings if "left out" in it]
    assert said == [
        "6 volumes left out: c0.nii (without a mask), c1.nii (its mask has another shape), c2.nii"
        " (its mask has another orientation), ..."
    ]
    assert said[0] in str(error.value)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("x*", r"none matches, such as c0\.nii"),
        ("*", r"all match, such as"),
    ],
)
def test_pattern_of_masks_matches_some_volumes(tmp_path: Path, pattern: str, message: str) -> None:
    write_masked(tmp_path, lambda i: (f"c{i}.nii", f"c{i}_seg.nii"))
    with pytest.raises(DataError, match=message):
        open_source(settings_of(tmp_path, masks=pattern))


def test_pattern_of_masks_does_not_match_folders(tmp_path: Path) -> None:
    write_masked(tmp_path / "my_seg_data", lambda i: (f"c{i}.nii", f"c{i}_seg.nii"))
    source = open_source(settings_of(tmp_path, masks="*_seg.nii"))
    assert len({it.file for it in source.items}) == 4


def test_slices_beyond_all_volumes_with_masks_are_an_error(tmp_path: Path) -> None:
    write_masked(tmp_path, lambda i: (f"c{i}.nii", f"c{i}_seg.nii"))
    for values in ({"slices": "axial:50-60"}, {"volume": 3}):
        with pytest.raises(DataError, match=r"Expected volumes with masks and slices"):
            open_source(settings_of(tmp_path, masks="*_seg.nii", **values))


def test_volumes_of_one_mask_are_a_group_in_their_split(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / ("train" if number < 4 else "test") / f"c{number}"
        write_masked(folder, lambda _: ("t1.nii", "seg.nii"), 1)
        write_nifti(folder / "t2.nii", noise(50 + number))
        write_nifti(folder / "mask.nii", noise(70 + number))
    source = open_source(settings_of(tmp_path, masks="*seg.nii"))
    files = {it.file: (it.group, it.split) for it in source.items}
    assert len(files) == 12
    assert len(set(files.values())) == 6
    assert files["train/c0/t1.nii"] == files["train/c0/t2.nii"]
    assert files["test/c5/t1.nii"][1] == "test"


def test_masks_of_other_cases_do_not_fit(tmp_path: Path) -> None:
    write_masked(tmp_path, lambda i: (f"c{i}_t1.nii", f"c{i}_seg.nii"))
    write_nifti(tmp_path / "c1_2_t1.nii", noise(0))
    write_nifti(tmp_path / "c11_t1.nii", noise(0))
    source = open_source(settings_of(tmp_path, masks="*_seg.nii"))
    assert {it.file for it in source.items} == {f"c{i}_t1.nii" for i in range(4)}
    write_masked(tmp_path / "one", lambda i: (f"vol{i}.nii", f"mask{i}.nii"))
    with pytest.raises(DataError, match="without a mask"):
        open_source(settings_of(tmp_path / "one", masks="mask*"))


def test_what_is_not_measured_is_not_marked(tmp_path: Path) -> None:
    def mask(path: Path, background: float) -> None:
        voxels = np.full((10, 12, 8), background, np.float32)
        voxels[4, 5, 3] = 1
        write_nifti(path, voxels)

    for number in range(4):
        write_nifti(tmp_path / f"c{number}.nii", noise(number))
        mask(tmp_path / f"c{number}_seg.nii", np.nan if number % 2 else 0)
    source = open_source(settings_of(tmp_path, masks="*_seg.nii"))
    assert {it.name.partition("#")[2] for it in source.items if it.label == 0} == {"4"}


@pytest.mark.parametrize("key", ["label_from", "pages", "group_tag", "where"])
def test_other_ways_to_labels_have_no_meaning_beside_masks(tmp_path: Path, key: str) -> None:
    write_masked(tmp_path, lambda i: (f"c{i}.nii", f"c{i}_seg.nii"))
    values = {"label_from": "(c)", "pages": "all", "group_tag": "PatientID", "where": ("A=B",)}
    with pytest.raises(DataError, match=f"--{key.replace('_', '-')} cannot be used with"):
        open_source(settings_of(tmp_path, masks="*_seg.nii", **{key: values[key]}))


def test_masks_beside_volumes_are_no_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(4):
            voxels = noise(number + ord(name))
            write_nifti(tmp_path / name / f"p{number}" / f"p{number}_t1.nii.gz", voxels)
            write_nifti(tmp_path / name / f"p{number}" / f"p{number}_seg.nii.gz", voxels % 2)
    source = open_source(settings_of(tmp_path))
    assert not any("_seg" in it.name for it in source.items)
    assert any("8 masks were left out" in it for it in source.warnings)


MHD = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = {is_big}
CompressedData = {is_packed}
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 2.5
DimSize = 10 12 8
ElementType = MET_SHORT
ElementDataFile = {place}
"""


@pytest.mark.parametrize("place", ["LOCAL", "a.raw"])
@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("is_big", [False, True])
def test_metaimages_are_read(tmp_path: Path, place: str, is_packed: bool, is_big: bool) -> None:
    voxels = noise(0)  # x to the left, y to the back, z to the head
    content = voxels.astype(">i2" if is_big else "<i2").tobytes(order="F")
    content = zlib.compress(content) if is_packed else content
    header = MHD.format(is_big=is_big, is_packed=is_packed, place=place).encode()
    path = tmp_path / ("a.mha" if place == "LOCAL" else "a.mhd")
    path.write_bytes(header + content if place == "LOCAL" else header)
    (tmp_path / "a.raw").write_bytes(content)
    assert np.array_equal(pixels_of(path, Slice(2, 3)), voxels[..., 3].T)
    assert np.array_equal(pixels_of(path, Slice(1, 0)), voxels[:, -1, ::-1].T)
    truncated = path if place == "LOCAL" else tmp_path / "a.raw"
    truncated.write_bytes(truncated.read_bytes()[:-20])
    assert re.search("truncated", reason_of(path))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("a.raw", "../a.raw", "its voxels are not in one file beside it"),
        ("a.raw", "/etc/passwd", "its voxels are not in one file beside it"),
        ("a.raw", "LIST", "its voxels are not in one file beside it"),
        ("a.raw", "b.raw", "No such file or directory"),
        ("10 12 8", "10 12", "its shape does not have as many numbers as axes"),
        ("10 12 8", "100000 100000 1", "too large"),
        ("MET_SHORT", "MET_STRING", "its type MET_STRING is not supported"),
        ("1 0 0 0 1 0 0 0 1", "nan 0 0 0 1 0 0 0 1", "its orientation is damaged"),
        ("NDims = 3\n", "", "NDims"),
        ("ElementDataFile", "x", "not a MetaImage"),
    ],
)
def test_metaimages_that_cannot_be_read_say_why(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    header = MHD.format(is_big=False, is_packed=False, place="a.raw").replace(old, new)
    (tmp_path / "a.mhd").write_text(header)
    (tmp_path / "a.raw").write_bytes(bytes(2 * 10 * 12 * 8))
    assert reason in reason_of(tmp_path / "a.mhd")


def test_files_that_lie_are_refused_before_they_take_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_nifti(tmp_path / "a.nii", noise(0))
    content = bytearray(path.read_bytes())
    content[42:50] = np.array([30000, 30000, 30000, 1], "<i2").tobytes()
    path.write_bytes(content)
    assert "too large" in reason_of(path)
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(content))
    assert "too large" in reason_of(packed)
    content[42:50] = np.array([300, 300, 300, 1], "<i2").tobytes()
    packed.write_bytes(gzip.compress(content))
    assert reason_of(packed) == "the file is truncated or damaged"
    monkeypatch.setattr(volume_module, "MAX_VOLUME_BYTES", 100)
    assert "too large" in reason_of(write_nifti(tmp_path / "c.nii", noise(0)))
    complex_type = write_nifti(tmp_path / "d.nii", noise(0).astype(np.complex64))
    assert "complex64 is not supported" in reason_of(complex_type)
    five = write_nifti(tmp_path / "e.nii", noise(0, (3, 3, 3, 2, 2)))
    assert "its shape (3, 3, 3, 2, 2) is not supported" in reason_of(five)


def test_gzip_of_very_many_parts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.volumes.inflate.MAX_PARTS", 20)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"") * 30)
    assert reason_of(path) == "it has too many parts"


def test_voxels_in_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    header = MHD.format(is_big=False, is_packed=True, place="a.zraw")
    (tmp_path / "a.mhd").write_text(header)
    os.mkfifo(tmp_path / "a.zraw")
    assert reason_of(tmp_path / "a.mhd") == "its voxels are in no regular file"


def test_gzip_in_several_parts_is_read(tmp_path: Path) -> None:
    whole = write_nifti(tmp_path / "a.nii", noise(0)).read_bytes()
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(whole[:500]) + gzip.compress(whole[500:]))
    assert np.array_equal(pixels_of(path, Slice(0, 1)), noise(0)[1, ::-1, ::-1].T)


def test_damaged_volumes_are_broken_images(volumes: Path, tmp_path: Path) -> None:
    broken = volumes / "a/case0.nii.gz"
    broken.write_bytes(broken.read_bytes()[:300])
    (volumes / "b/none.nii").write_bytes(b"no volume")
    summary = inspect_source(settings_of(volumes, slices="axial:50%"))
    assert set(summary.broken) == {"a/case0.nii.gz#6", "b/none.nii"}


@pytest.mark.parametrize("name", ["a.nii", "b.nii.gz"])
def test_mutated_files_end_in_a_reason(tmp_path: Path, name: str) -> None:
    good = write_nifti(tmp_path / name, noise(0)).read_bytes()
    rng = random.Random(0)
    for _ in range(300):
        content = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(min(len(content), 400))] = rng.randrange(256)
        (tmp_path / name).write_bytes(content[: rng.choice([len(content), rng.randrange(400)])])
        try:
            for axis in range(len(AXES)):
                read_slice(str(tmp_path / name), Slice(axis, 0))
        except VOLUME_ERRORS:
            continue


def test_options_of_volumes_have_no_meaning_without_them(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "x.png")
    for key, value in (("slices", "coronal"), ("volume", 2)):
        with pytest.raises(DataError, match=f"--{key} cannot be used with .*has no NIfTI files"):
            open_source(settings_of(tmp_path, **{key: value}))
    table = tmp_path / "table.csv"
    table.write_text("image,label\na/x.png,a\nb/x.png,b\n")
    for key, value in (("slices", "coronal"), ("masks", "*_seg.nii")):
        with pytest.raises(DataError, match=f"--{key} cannot be used with"):
            open_source(settings_of(table, **{key: value}))


def test_header_says_the_shape_without_the_voxels(tmp_path: Path) -> None:
    header = read_volume(str(write_nifti(tmp_path / "a.nii.gz", noise(0, (5, 6, 7, 2)))))
    assert (header.shape, header.n_volumes, header.is_packed) == ((5, 6, 7), 2, True)
    assert [header.n_slices(axis) for axis in range(3)] == [5, 6, 7]


def test_neighboring_slices_are_no_near_duplicates(tmp_path: Path) -> None:
    for number in range(12):
        plane = np.random.default_rng(number).normal(100, 30, (32, 32, 1))
        voxels = (plane + np.linspace(0, 1, 12)).astype(np.float32)
        write_nifti(tmp_path / "set" / "ab"[number % 2] / f"{number}.nii", voxels)
    data = prepare(settings_of(tmp_path / "set"), tmp_path / "cache")
    assert sum(data.counts.values()) == 12 * 12
    assert not any("near duplicates" in it for it in data.metadata["warnings"])


def test_changed_mask_or_voxels_are_another_source(tmp_path: Path) -> None:
    write_masked(tmp_path / "set", lambda i: (f"c{i}.nii", f"c{i}_seg.nii"))
    settings = settings_of(tmp_path / "set", masks="*_seg.nii")
    before = open_source(settings).identity()
    assert open_source(settings).identity() == before
    write_nifti(tmp_path / "set/c0_seg.nii", np.zeros((10, 12, 8), np.uint8))
    assert open_source(settings).identity() != before
    for name in ("a", "b"):
        folder = tmp_path / "meta" / name
        folder.mkdir(parents=True)
        header = MHD.format(is_big=False, is_packed=False, place="x.raw")
        (folder / "x.mhd").write_text(header)
        (folder / "x.raw").write_bytes(bytes(2 * 10 * 12 * 8))
    before = open_source(settings_of(tmp_path / "meta")).identity()
    (tmp_path / "meta/b/x.raw").write_bytes(bytes(2 * 10 * 12 * 8 + 1))
    assert open_source(settings_of(tmp_path / "meta")).identity() != before
