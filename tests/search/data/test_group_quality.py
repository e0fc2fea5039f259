"""Groups that do not tell patients apart are noticed, whatever named them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, inspect_source, prepare
from search.data.group_quality import why_no_groups
from search.data.open_source import open_source
from search.errors import DataError
from tests.search.data.dicom_files import write_dicom
from tests.search.data.test_manifest import make_set, write_csv

MakeFolder = Callable[..., Path]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["", "", "", ""], "has no value in any of the rows"),
        (["7", "7", "7", "7"], "is the same in all rows"),
        (["1", "1", "2", "2"], "has one value for each class"),
        (["7", "", "7", ""], ""),
        (["1", "2", "3", "3"], ""),
    ],
)
def test_values_that_tell_no_patients_apart(values: Sequence[str], reason: str) -> None:
    assert why_no_groups(values, ["a", "a", "b", "b"], "rows") == reason


def write_table(folder: Path, cases: Sequence[str], **columns: Sequence[str]) -> Path:
    make_set(folder, [f"{i}.png" for i in range(len(cases))])
    half = len(cases) // 2
    rows = [
        {"path": f"{i}.png", "label": "ab"[i >= half], "case": case}
        | {name: cells[i] for name, cells in columns.items()}
        for i, case in enumerate(cases)
    ]
    return write_csv(folder / "m.csv", rows)


@pytest.mark.parametrize(
    ("cases", "reason"),
    [
        ([str(i) for i in range(12)], "it has a different value in every row"),
        (["7"] * 12, "it is the same in all rows"),
        (["1"] * 6 + ["2"] * 6, "it has one value for each class"),
        ([""] * 12, "it has no value in any of the rows"),
    ],
)
def test_guessed_column_that_tells_no_patients_apart_is_not_used(
    tmp_path: Path, cases: list[str], reason: str
) -> None:
    table = write_table(tmp_path, cases)
    source = open_source(DataSettings(source=str(table)))
    note = f"the column 'case' is not used for groups, since {reason}"
    assert source.warnings == ["path from path, label from label", note]
    assert {item.group for item in source.items} == {""}
    assert "group_column" not in source.guessed
    named = open_source(DataSettings(source=str(table), group_column="case"))
    assert {item.name: item.group for item in named.items} == {
        f"{i}.png": case for i, case in enumerate(cases)
    }
    complaint = (
        "each row is a group of its own"
        if "different" in reason
        else f"the column 'case' {reason.removeprefix('it ')}: it does not tell patients apart"
    )
    assert any(it.startswith(complaint) for it in named.warnings)


def test_patient_of_a_class_is_used_if_splits_are_given(tmp_path: Path) -> None:
    splits = ["train", "val", "test"] * 4
    table = write_table(tmp_path, ["1"] * 6 + ["2"] * 6, split=splits)
    assert {it.group for it in open_source(DataSettings(source=str(table))).items} == {"1", "2"}
    with pytest.raises(DataError, match="2 of 2 groups are in several splits"):
        prepare(DataSettings(source=str(table), image_size=8), tmp_path / "cache")


def test_other_groups_replace_a_guessed_column(tmp_path: Path) -> None:
    table = write_table(tmp_path, list("112233112233"))
    assert open_source(DataSettings(source=str(table))).guessed["group_column"] == "case"
    found = open_source(DataSettings(source=str(table), group_from=r"(\d)\d?\.png"))
    assert found.warnings[1] == (
        "the column 'case' is not used for groups, since --group-from names the groups"
    )
    assert "group_column" not in found.guessed
    for options in (
        {"group_from": r"(\d)", "group_column": "case"},
        {"group_tag": "PatientID", "group_column": "case"},
        {"group_from": r"(\d)", "group_tag": "PatientID"},
    ):
        with pytest.raises(DataError, match="each say what a group is: give one of them"):
            open_source(DataSettings(source=str(table), **options))


def write_patients(folder: Path) -> list[str]:
    """Write two DICOM files of each of six patients, and return their names."""
    names = [f"{i}.dcm" for i in range(12)]
    for i, name in enumerate(names):
        pixels = np.random.default_rng(i).integers(0, 900, (12, 12), dtype=np.int16)
        write_dicom(folder / name, pixels, PatientID=f"P{i // 2}", StudyInstanceUID=f"1.2.{i}")
    return names


@pytest.mark.parametrize(
    ("cases", "n_groups"),
    [
        ([str(i) for i in range(12)], 6),  # Each row its own.
        ([""] * 12, 6),
        (["1"] * 6 + ["2"] * 6, 6),  # Each class its own.
        (["A", "", "", "B", "", "", "", "", "", "", "A", ""], 5),  # The first is the last patient.
    ],
)
def test_dicom_patients_count_where_a_guessed_column_does_not(
    tmp_path: Path, cases: list[str], n_groups: int
) -> None:
    names = write_patients(tmp_path)
    rows = [
        {"path": name, "label": "ab"[i // 2 % 2], "case": cases[i]} for i, name in enumerate(names)
    ]
    if cases[0] == "1":
        rows = [row | {"case": row["label"]} for row in rows]
    source = open_source(DataSettings(source=str(write_csv(tmp_path / "m.csv", rows))))
    groups = [item.group for item in source.items]
    assert len(set(groups)) == n_groups
    by_name = {item.name: item.group for item in source.items}
    assert all(by_name[f"{i}.dcm"] == by_name[f"{i + 1}.dcm"] for i in range(0, 12, 2))
    assert not any("any split" in it for it in source.warnings)
    assert "group_column" not in source.guessed


def test_tags_that_are_ignored_leave_the_column(tmp_path: Path) -> None:
    names = write_patients(tmp_path)
    rows = [{"path": it, "label": "ab"[i % 2], "case": i // 4} for i, it in enumerate(names)]
    table = write_csv(tmp_path / "m.csv", rows)
    source = open_source(DataSettings(source=str(table), group_tag="none"))
    assert len({item.group for item in source.items}) == 3
    assert source.guessed["group_column"] == "case"


def test_column_alone_groups_files_whose_tags_do_not(tmp_path: Path) -> None:
    """No note says then that there are no groups, or that each file is one."""
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 900, (12, 12), dtype=np.int16)
        write_dicom(tmp_path / f"{i}.dcm", pixels)
    rows = [
        {"path": f"{i}.dcm", "label": "ab"[i % 2], "case": "" if i > 8 else i // 3}
        for i in range(12)
    ]
    source = open_source(DataSettings(source=str(write_csv(tmp_path / "m.csv", rows))))
    assert {item.group for item in source.items} == {"", "0", "1", "2"}
    assert source.guessed["group_column"] == "case"
    assert source.warnings == [
        "path from path, label from label, group from case",
        "3 images without a case: they can be in any split",
    ]


def test_joined_groups_are_described_once(tmp_path: Path) -> None:
    names = write_patients(tmp_path)
    rows = [
        {"path": it, "label": "ab"[i % 2], "case": "A" if i in (0, 11) else ""}
        for i, it in enumerate(names)
    ]
    source = open_source(DataSettings(source=str(write_csv(tmp_path / "m.csv", rows))))
    assert source.warnings == [
        "path from path, label from label, group from case",
        "images are grouped by the column of the table and by DICOM tags: 5 groups",
    ]


def test_pattern_is_not_offered_beside_groups_that_were_named(tmp_path: Path) -> None:
    make_set(tmp_path, [f"pat{i // 2}_v{i % 2}.png" for i in range(24)])
    rows = [
        {"path": f"pat{i // 2}_v{i % 2}.png", "label": "ab"[i // 2 % 2], "case": f"c{i}"}
        for i in range(24)
    ]
    table = write_csv(tmp_path / "m.csv", rows)
    assert inspect_source(DataSettings(source=str(table))).group_proposal
    named = inspect_source(DataSettings(source=str(table), group_column="case"))
    assert named.group_proposal == ""


def test_pattern_that_groups_nothing_is_noticed(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 8, "b": 8})
    source = open_source(DataSettings(source=str(root), group_from=r"(.+)\.png"))
    assert source.warnings == [
        "each image is a group of its own: if several are of one patient, results are too good"
        " (change --group-from)"
    ]
    source = open_source(DataSettings(source=str(root), group_from=r"^(.)/"))
    assert source.warnings == [
        "the group that --group-from finds has one value for each class: it does not tell patients"
        " apart"
    ]


def test_pattern_is_offered_if_each_file_is_a_group_of_its_own(tmp_path: Path) -> None:
    for i in range(24):
        pixels = np.random.default_rng(i).integers(0, 900, (12, 12), dtype=np.int16)
        write_dicom(
            tmp_path / "set" / "ab"[i // 2 % 2] / f"pat{i // 2:02}_v{i % 2}.dcm",
            pixels,
            PatientID="ANON",
            StudyInstanceUID=f"1.2.{i}",
        )
    summary = inspect_source(DataSettings(source=str(tmp_path / "set")))
    assert summary.n_groups == 24
    assert summary.group_proposal
    (note,) = (it for it in summary.warnings if it.startswith("each file is a group of its own"))
    assert "finds 12, the largest of 2 images" in note
    grouped = inspect_source(
        DataSettings(source=str(tmp_path / "set"), group_from=summary.group_proposal)
    )
    assert (grouped.n_groups, grouped.group_proposal) == (12, "")


def test_arrays_without_groups_say_so(make_npz: Callable[..., Path]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    path = make_npz(images=images, labels=np.arange(40) % 2)
    notes = inspect_source(DataSettings(source=str(path))).warnings
    assert any(it.startswith("the images have no groups: if several") for it in notes)


def test_divided_groups_are_listed_without_their_identifiers(tmp_path: Path) -> None:
    splits = ["train", "test", "val", "train", "train", "train"] * 2
    table = write_table(tmp_path, [f"JONES{i // 2}" for i in range(12)], split=splits)
    divided: tuple[Mapping[str, str], ...] = inspect_source(
        DataSettings(source=str(table), image_size=8)
    ).divided_groups
    assert divided == (
        {"test": "1.png", "train": "0.png"},
        {"train": "3.png", "val": "2.png"},
        {"test": "7.png", "train": "6.png"},
        {"train": "9.png", "val": "8.png"},
    )
    with pytest.raises(DataError, match="4 of 6 groups are in several splits") as error:
        prepare(DataSettings(source=str(table), image_size=8), tmp_path / "cache")
    assert "JONES" not in str(error.value)
    assert "--fix-leaks keeps such images in one split only" in str(error.value)
