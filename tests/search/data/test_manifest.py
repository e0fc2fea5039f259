"""Manifests: tables with a row for each image, in the forms in which they are published."""

import csv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, inspect_source, prepare
from search.data.manifest import ManifestSource
from search.data.open_source import open_source
from search.data.tables import read_table
from search.errors import DataError

Rows = Sequence[Mapping[str, object]]


def save_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)).save(
        path
    )


def write_csv(path: Path, rows: Rows, delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_set(folder: Path, names: Sequence[str]) -> None:
    for seed, name in enumerate(names):
        save_image(folder / name, seed)


def open_manifest(path: Path, **options: Any) -> ManifestSource:
    source = open_source(DataSettings(source=str(path), **options))
    assert isinstance(source, ManifestSource)
    return source


def labels_of(source: ManifestSource) -> dict[str, str]:
    return {item.name: source.classes[item.label] for item in source.items}


@pytest.fixture
def ham(tmp_path: Path) -> Path:
    """HAM10000: images in two parts, without extension in the table, several of a lesion."""
    make_set(tmp_path, [f"HAM10000_images_part_{1 + i // 8}/ISIC_{i:04}.jpg" for i in range(16)])
    rows = [
        {"lesion_id": f"HAM_{i // 2}", "image_id": f"ISIC_{i:04}", "dx": ("nv", "mel")[i // 2 % 2],
         "age": 40 + i}
        for i in range(16)
    ]  # fmt: skip
    return write_csv(tmp_path / "HAM10000_metadata.csv", rows)


def test_columns_and_files_are_found(ham: Path, cache_dir: Path) -> None:
    source = open_manifest(ham)
    assert source.classes == ("mel", "nv")
    assert source.items[0].name == "HAM10000_images_part_1/ISIC_0000.jpg"
    assert labels_of(source)["HAM10000_images_part_2/ISIC_0010.jpg"] == "mel"
    assert source.items[3].group == "HAM_1"
    assert source.warnings == ["path from image_id, label from dx, group from lesion_id"]
    data = prepare(DataSettings(source=str(ham), image_size=8), cache_dir)
    assert sum(data.counts.values()) == 16
    assert data.metadata["n_groups"] == 8
    assert data.metadata["kind"] == "manifest"
    assert inspect_source(DataSettings(source=str(ham))).n_groups == 8


def test_changed_label_or_file_is_prepared_again(ham: Path, cache_dir: Path) -> None:
    def path() -> Path:
        return prepare(DataSettings(source=str(ham), image_size=8), cache_dir).path

    first = path()
    assert path() == first
    ham.write_text(ham.read_text().replace("ISIC_0000,nv", "ISIC_0000,mel"))
    assert path() != first
    ham.write_text(ham.read_text().replace("ISIC_0000,mel", "ISIC_0000,nv"))
    save_image(ham.parent / "HAM10000_images_part_1/ISIC_0000.jpg", 99)
    assert path() != first


TABLE = [
    {"file": f"{i}.png", "label": "ab"[i % 2], "split": ("train", "valid", "TEST")[i % 3]}
    for i in range(6)
]


@pytest.mark.parametrize("kind", ["csv", "tsv", "semicolons", "parquet", "xlsx", "UTF-8 mark"])
def test_every_kind_of_table_says_the_same(tmp_path: Path, kind: str) -> None:
    make_set(tmp_path, [f"{i}.png" for i in range(6)])
    path = tmp_path / f"table.{kind if kind in {'tsv', 'parquet', 'xlsx'} else 'csv'}"
    if kind == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(TABLE), path)
    elif kind == "xlsx":
        from openpyxl import Workbook

        book = Workbook()
        for row in [list(TABLE[0]), *(list(row.values()) for row in TABLE)]:
            book.active.append(row)
        book.save(path)
    else:
        write_csv(path, TABLE, {"tsv": "\t", "semicolons": ";"}.get(kind, ","))
    if kind == "UTF-8 mark":
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    source = open_manifest(path)
    assert [(it.name, it.label, it.split) for it in source.items] == [
        (f"{i}.png", i % 2, ("train", "val", "test")[i % 3]) for i in range(6)
    ]


@pytest.mark.parametrize(
    ("cells", "options", "expected"),
    [
        (["1.0", "0.0", "-1.0", "", "1", "0"], {}, ["1", "0", "", "", "1", "0"]),
        (["a", "nan", "b", "N/A", "a", "b"], {}, ["a", "", "b", "", "a", "b"]),
        (["a", "#N/A", "b", "#VALUE!", "<NA>", "b"], {}, ["a", "", "b", "", "", "b"]),
        (["-1", "2", "0", "1", "2", "2"], {}, ["-1", "2", "0", "1", "2", "2"]),
        (
            ["Hernia|Mass", "Mass", "No Finding", "Hernia", "Nodule", "Mass|Nodule"],
            {"separator": "|", "positive": "Mass"},
            ["Mass", "Mass", "not Mass", "not Mass", "not Mass", "Mass"],
        ),
    ],
    ids=["uncertain", "empty", "Excel", "-1 is a class", "one against the rest"],
)
def test_labels(
    tmp_path: Path, cells: list[str], options: dict[str, object], expected: list[str]
) -> None:
    make_set(tmp_path, [f"{i}.png" for i in range(6)])
    path = write_csv(
        tmp_path / "a.csv", [{"image": f"{i}.png", "label": cell} for i, cell in enumerate(cells)]
    )
    source = open_manifest(path, **options)
    assert labels_of(source) == {f"{i}.png": it for i, it in enumerate(expected) if it}
    n_uncertain = cells.count("-1.0")
    if n_uncertain:
        assert source.warnings[1] == "1 row with the label -1 left out as uncertain"
    if n_empty := expected.count("") - n_uncertain:
        rows = "1 row" if n_empty == 1 else f"{n_empty} rows"
        assert f"{rows} without a label" in source.warnings[-1]


def test_column_for_each_class(tmp_path: Path) -> None:
    """ISIC: zeros and ones with a point."""
    make_set(tmp_path, [f"in/{i}.jpg" for i in range(4)])
    rows = [
        {"image": i, "MEL": f"{i % 2}.0", "NV": f"{1 - i % 2}.0", "age": 50 + i} for i in range(4)
    ]
    source = open_manifest(write_csv(tmp_path / "truth.csv", rows))
    assert labels_of(source) == {f"in/{i}.jpg": ("NV", "MEL")[i % 2] for i in range(4)}
    assert source.warnings == ["path from image, label from one column for each of 2 classes"]
    rows[2]["MEL"] = "1.0"
    path = write_csv(tmp_path / "truth.csv", rows)
    with pytest.raises(DataError, match=r"row 4 of truth.csv has several labels: MEL, NV\."):
        open_manifest(path)
    assert labels_of(open_manifest(path, positive="MEL"))["in/2.jpg"] == "MEL"


def test_rows_without_a_file_are_counted_and_named(tmp_path: Path) -> None:
    make_set(tmp_path, ["a/0.png", "a/1.png", "b/1.png"])
    rows = [
        {"path": name, "label": name[:1] or "a"}
        for name in ("a/0.png", "b/1", "1.png", "c/9.png", "")
    ]
    path = write_csv(tmp_path / "m.csv", rows)
    source = open_manifest(path)
    assert labels_of(source) == {"a/0.png": "a", "b/1.png": "b"}
    assert source.warnings[1] == (
        "3 rows without a file are left out: row 4 of m.csv (1.png: 2 files have this name,"
        " such as a/1.png), row 5 of m.csv (c/9.png: there is no such file), row 6 of m.csv (: its"
        " path is empty)"
    )
    with pytest.raises(DataError, match=r"image of row 4 of m.csv \(1.png: 2 files .*--strict"):
        open_manifest(path, strict=True)


def test_paths_may_lead_elsewhere(tmp_path: Path) -> None:
    make_set(tmp_path / "images", ["0.png", "1.png"])
    make_set(tmp_path / "other", ["2.png"])
    names = [str(tmp_path / "other" / "2.png"), "../images/0.png", "C:\\scans\\1.png"]
    rows = [{"path": name, "label": "ab"[i % 2]} for i, name in enumerate(names)]
    path = write_csv(tmp_path / "m.csv", rows)
    source = open_manifest(path, root=str(tmp_path / "images"))
    assert len(source.items) == 3
    assert source.warnings[1:] == [
        "1 file found by name, in another folder than the path says",
        "1 file outside of the folder of images",
    ]
    with pytest.raises(DataError, match=r"Expected a folder for --root. Received: .*none"):
        open_manifest(path, root=str(tmp_path / "none"))


def test_path_of_another_folder_is_not_replaced(tmp_path: Path) -> None:
    make_set(tmp_path, ["p2/9.png", "set/p3/1.png"])
    rows = [{"path": "p1/9.png", "label": "a"}, {"path": "x/set/p3/1.png", "label": "b"}]
    source = open_manifest(write_csv(tmp_path / "m.csv", rows))
    assert [item.name for item in source.items] == ["set/p3/1.png"]
    assert "p1/9.png: there is no such file" in source.warnings[1]


def test_excluded_rows_and_rows_without_a_patient_are_counted(tmp_path: Path) -> None:
    make_set(tmp_path, [f"{name}/{i}.png" for name in "ab" for i in range(3)])
    rows = [
        {"path": f"{name}/{i}.png", "label": name, "patient": "" if i else "7"}
        for name in "ab"
        for i in range(3)
    ]
    source = open_manifest(write_csv(tmp_path / "m.csv", rows), exclude=("b/2.png",))
    assert len(source.items) == 5
    assert source.warnings[1] == "1 row that --exclude names is left out: row 7 of m.csv"
    assert source.warnings[2].startswith("3 images without a patient: they can be in any split")
    assert open_manifest(tmp_path / "m.csv", group_column="none").items[0].group == ""


def test_options_of_tables_are_refused_for_folders(tmp_path: Path) -> None:
    make_set(tmp_path, ["a/0.png", "b/0.png"])
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=[0, 1, 0, 1])
    for source, options, name in (
        (tmp_path, {"positive": "a"}, "--positive"),
        (tmp_path, {"where": ("a=b",)}, "--where"),
        (tmp_path / "a.npz", {"group_from": "x"}, "--group-from"),
        (tmp_path / "a.npz", {"exclude": ("x",)}, "--exclude"),
    ):
        with pytest.raises(DataError, match=f"{name} cannot be used with .*: leave it out"):
            open_source(DataSettings(source=str(source), **options))


def test_rows_of_one_image_count_once_or_contradict(tmp_path: Path) -> None:
    make_set(tmp_path, [f"{i}.png" for i in range(4)])
    cells = [(0, "a"), (0, "a"), (1, "a"), (1, "b"), (2, "b"), (3, "a")]
    path = write_csv(
        tmp_path / "m.csv", [{"image": f"{i}.png", "label": label} for i, label in cells]
    )
    source = open_manifest(path)
    assert labels_of(source) == {"0.png": "a", "2.png": "b", "3.png": "a"}
    assert source.warnings[1:] == [
        "1 row repeats another and counts once",
        "2 rows of an image whose rows have different labels are left out: row 4 of m.csv, row 5"
        " of m.csv",
    ]
    assert labels_of(open_manifest(path, positive="b"))["1.png"] == "b"


def test_rows_are_chosen_by_their_cells(tmp_path: Path) -> None:
    make_set(tmp_path, [f"{i}.png" for i in range(6)])
    rows = [
        {
            "image": f"{i}.png",
            "label": "ab"[i % 2],
            "view": "AP" if i < 4 else "LAT",
            "age": i // 2,
        }
        for i in range(6)
    ]
    path = write_csv(tmp_path / "m.csv", rows)
    source = open_manifest(path, where=("view=AP", "age=1"))
    assert list(labels_of(source)) == ["2.png", "3.png"]
    with pytest.raises(DataError, match=r"No row of .*m.csv has view=PA \(--where\)"):
        open_manifest(path, where=("view=PA",))
    with pytest.raises(DataError, match=r"COLUMN=VALUE for --where.*Received: 'veiw=AP'. Known: "):
        open_manifest(path, where=("veiw=AP",))


@pytest.mark.parametrize(
    "column",
    [
        "PatientID", "patient_name", "patient", "Subject ID", "MRN", "StudyUID", "person",
        "case_id", "sopinstanceuid", "Referring Physician", "ssn", "Pat Nr", "initials", "subj",
        "study id", "insurance_no", "name", "Last Name", "scan_id",
    ],
)  # fmt: skip
def test_identifiers_choose_no_rows(tmp_path: Path, column: str) -> None:
    make_set(tmp_path, ["0.png", "1.png"])
    rows = [{"image": f"{i}.png", "label": "ab"[i], column: f"p{i}"} for i in range(2)]
    with pytest.raises(DataError, match=rf"--where {column} would store an identifier") as caught:
        open_manifest(write_csv(tmp_path / "m.csv", rows), where=(f"{column}=p0",))
    assert "p0" not in str(caught.value)
    for other in (
        "Patient's Sex",
        "fluid",
        "mrna",
        "patient_status",
        "PatientAge",
        "use_case",
        "study",
        "scanner",
        "site_id",
        "class_name",
    ):
        rows = [{"image": f"{i}.png", "label": "ab"[i], other: "F"} for i in range(2)]
        open_manifest(write_csv(tmp_path / "m.csv", rows), where=(f"{other}=F",))
    rows = [{"image": f"{i}.png", "label": "ab"[i], "eye": f"p{i}"} for i in range(2)]
    with pytest.raises(DataError, match="--where eye would store an identifier"):
        open_manifest(write_csv(tmp_path / "m.csv", rows), where=("eye=p0",), group_column="eye")


def test_columns_that_may_be_meant_are_named(tmp_path: Path) -> None:
    make_set(tmp_path, ["0.png", "1.png"])
    rows = [{"image": f"{i}.png", "label": "ab"[i], "index": 0, "weight": 1} for i in range(2)]
    path = write_csv(tmp_path / "m.csv", rows)
    hints = [it for it in open_manifest(path).warnings if "is not used" in it]
    assert hints == [
        "the column 'index' is not used: if it should number the images of a file, name it with"
        " --frame-column",
        "the column 'weight' is not used: if it should have weights, name it with --weight-column",
    ]
    source = open_manifest(path, weight_column="weight")
    assert [it for it in source.warnings if "'weight' is not used" in it] == []


def test_rows_that_are_not_chosen_may_say_anything(tmp_path: Path) -> None:
    make_set(tmp_path, [f"{i}.png" for i in range(4)])
    labels = ["a", "b", "a|b", "b"]
    rows = [{"image": f"{i}.png", "label": it, "n": len(it)} for i, it in enumerate(labels)]
    source = open_manifest(write_csv(tmp_path / "m.csv", rows), where=("n=1",))
    assert list(labels_of(source)) == ["0.png", "1.png", "3.png"]


REFUSED: dict[str, tuple[str, dict[str, object], str]] = {
    "no label": ("image,age\n0.png,3\n", {}, r"Which column has the label .*--label-column. Kn"),
    "no path": ("age,label\n3,a\n", {}, r"Which column has the path .*--path-column. Known: age"),
    "wrong name": (
        "image,label\n0.png,a\n", {"label_column": "lable"},
        r"no column 'lable' for --label-column. Did you mean `label`\?",
    ),
    "several labels": (
        "image,label\n0.png,a\n1.png,b\n2.png,a|b\n", {},
        r"have several labels, such as 'a\|b'. .*--separator '\|' --positive 'a'",
    ),
    "several labels, separated": (
        "image,label\n0.png,a\n2.png,a;b\n", {"separator": ";"}, r"row 3 of m.csv has several lab"
    ),
    "another separator": (
        "image,label\n0.png,a\n1.png,b\n2.png,a|b\n", {"separator": ";", "positive": "a"},
        r"have several labels, such as 'a\|b'",
    ),
    "unknown positive": (
        "image,label\n0.png,a\n1.png,b\n", {"positive": "c"},
        r"No image has the label 'c' \(--positive\). Known: a, b\.",
    ),
    "capital letters": (
        "image,label\n0.png,a\n1.png,A\n", {}, r"classes 'A', 'a' differ in capital letters"
    ),
    "some splits": (
        "image,label,split\n0.png,a,train\n1.png,b,\n", {},
        r"column 'split' of every row. Received: 1 other cell, such as '' in row 3\. Correct",
    ),
    "too many cells": ("image,label\n0.png,a,b\n", {}, r"Row 2 of .* has 3 cells, and the first"),
    "same columns": ("image,label,label\n0.png,a,b\n", {}, r"different names .* Twice: 'label'"),
    "no rows": ("image,label\n", {}, "Expected a row of column names and rows of images"),
    "empty": ("", {}, "Expected a row of column names and rows of images"),
    "unknown split": (
        "image,label,split\n0.png,a,train\n1.png,b,holdout\n", {"split_column": "split"},
        r"train, val or test in the column 'split'. Received: 'holdout' in row 3 of m.csv",
    ),
    "two groups": (
        "image,label,patient\n0.png,a,1\n0.png,a,2\n", {}, r"differ in its group, .*row 2 of m.csv"
    ),
    "nothing found": (
        "image,label\n7.png,a\n8.png,b\n", {},
        r"No row of .* leads to an image with a label: 2 rows without a file are left out: row 2",
    ),
    "a long label": (f"image,label\n0.png,{'a' * 300}\n", {}, "labels of at most 200 characters"),
    "a quote that never ends": ('image,label\n0.png,"a\n' + "x" * 200_000, {}, "Cannot read the"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_table_that_cannot_be_used_is_refused(tmp_path: Path, name: str) -> None:
    text, options, message = REFUSED[name]
    make_set(tmp_path, [f"{i}.png" for i in range(3)])
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        open_manifest(tmp_path / "m.csv", **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".xlsx"])
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    for content in (b"\xff\xfe\x00garbage", b"PK\x03\x04 nonsense", b"PAR1 nonsense PAR1"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"Cannot read the table|Expected|is not UTF-8"):
            read_table(path)


def test_table_over_a_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "m.csv", TABLE)
    limits: dict[str, tuple[int, str]] = {
        "MAX_BYTES": (20, "at most 0 MiB"), "MAX_ROWS": (3, "at most 3 rows"),
        "MAX_COLUMNS": (2, "at most 2 columns"),
    }  # fmt: skip
    for name, (value, message) in limits.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"search.data.tables.{name}", value)
            with pytest.raises(DataError, match=message):
                read_table(path)


def test_cell_that_is_repeated_in_few_bytes_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "m.parquet"
    zeros = pa.array([0] * 1_000, pa.int32())
    cells = pa.DictionaryArray.from_arrays(zeros, pa.array(["x" * 5_000_000]))
    table = pa.table({"image": cells, "label": ["a"] * 1_000})
    parquet.write_table(table, path, dictionary_pagesize_limit=10**8, store_schema=False)
    assert path.stat().st_size < 6_000_000
    with pytest.raises(DataError, match="holds more text than a table of images has"):
        read_table(path)


def test_excel_file_that_says_it_has_a_million_columns_is_read(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in (["image", "label"], ["0.png", "a"]):
        book.active.append(row)
    book.save(tmp_path / "small.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "small.xlsx") as small,
        zipfile.ZipFile(tmp_path / "wide.xlsx", "w") as wide,
    ):
        for name in small.namelist():
            text = small.read(name).replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
            wide.writestr(name, text)
    assert read_table(tmp_path / "wide.xlsx").rows == [["0.png", "a"]]


def weighted(folder: Path, weights: Sequence[object]) -> Path:
    make_set(folder, [f"{i}.png" for i in range(len(weights))])
    rows = [{"image": f"{i}.png", "label": "ab"[i % 2], "w": w} for i, w in enumerate(weights)]
    return write_csv(folder / "table.csv", rows)


def test_weights_of_training_images_are_prepared(tmp_path: Path, cache_dir: Path) -> None:
    table = weighted(tmp_path, [0.5 if i % 2 else 2 for i in range(40)])
    settings = DataSettings(source=str(table), image_size=8, weight_column="w")
    data = prepare(settings, cache_dir)
    weights = data.train_weights()
    assert weights is not None
    assert weights.mean() == pytest.approx(1)
    is_b = data.labels("train") == 1
    assert weights[~is_b] == pytest.approx(4 * weights[is_b][0])
    assert "weight from w" in data.metadata["warnings"][0]
    without = prepare(DataSettings(source=str(table), image_size=8), cache_dir)
    assert without.train_weights() is None
    assert without.fingerprint != data.fingerprint
    data.verify()


def test_equal_weights_are_none(tmp_path: Path, cache_dir: Path) -> None:
    table = weighted(tmp_path, [3] * 40)
    found = [
        prepare(DataSettings(source=str(table), image_size=8, weight_column=column), cache_dir)
        for column in ("w", "")
    ]
    assert found[0].train_weights() is None
    assert found[0].fingerprint == found[1].fingerprint


@pytest.mark.parametrize("weight", ["", "0", "-1", "nan", "inf", "heavy", "1e7", "1e-50", "1_0"])
def test_weights_that_are_none_are_refused_with_their_row(tmp_path: Path, weight: str) -> None:
    table = weighted(tmp_path, [1, 1, weight, 1])
    message = (
        r"Expected weights of 0.000001 to 1,000,000 in the column 'w'. Received:"
        rf" '{weight}' in row 4 of"
    )
    with pytest.raises(DataError, match=message):
        open_manifest(table, weight_column="w")


def test_rows_of_one_image_with_different_weights_are_refused(tmp_path: Path) -> None:
    make_set(tmp_path, ["0.png", "1.png"])
    rows = [{"image": f"{i // 2}.png", "label": "ab"[i // 2], "w": 1 + i} for i in range(4)]
    with pytest.raises(DataError, match="differ in its group, split or weight: row 2"):
        open_manifest(write_csv(tmp_path / "t.csv", rows), weight_column="w")


def test_labels_that_are_known_are_those_between_separators(tmp_path: Path) -> None:
    make_set(tmp_path, ["0.png", "1.png"])
    rows = [{"image": "0.png", "label": "mass|nodule"}, {"image": "1.png", "label": "edema"}]
    table = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(
        DataError, match=r"No image has the label 'x' .* Known: edema, mass, nodule"
    ):
        open_manifest(table, separator="|", positive="x")
