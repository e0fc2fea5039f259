"""Layouts of sets as they are published: read as they are meant, or refused with a reason."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings
from search.data.file_names import extension_of, split_of
from search.data.layout import Layout, read_layout
from search.data.listing import ImageFile
from search.data.open_source import open_source
from search.errors import DataError
from tests.search.data.dicom_files import write_dicom

ROOT = Path("set")


def layout_of(
    counts: dict[str, int], *others: str, classes: Sequence[str] = (), label_from: str = ""
) -> Layout:
    """Read a layout: `{"train/cat/*.png": 4}` has four files, and `others` are single files."""
    names = [name.replace("*", f"{i:03}") for name, n in counts.items() for i in range(n)]
    files = [
        ImageFile(tuple(name.split("/")), 10, 0, extension_of(name))
        for name in sorted([*names, *others])
    ]
    return read_layout(ROOT, files, classes, label_from)


def summary(layout: Layout) -> dict[str, int]:
    found = Counter(f"{image.split}/{image.class_name}".lstrip("/") for image in layout.images)
    return dict(found)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("TRAIN", "train"), ("Training", "train"), ("train_set", "train"),
        ("trainset", "train"), ("1_train", "train"), ("train_images", "train"),
        ("val", "val"), ("valid", "val"), ("Validation Data", "val"), ("valset", "val"),
        ("Test cases", "test"), ("testing", "test"), ("test_set", "test"),
        ("latest", ""), ("testes", ""), ("value", ""), ("trained", ""), ("train test", ""),
        ("data", ""), ("001", ""), ("contest", ""),
    ],
)  # fmt: skip
def test_names_of_splits(name: str, split: str) -> None:
    assert split_of(name) == split


LAYOUTS = {
    "OCT2017, Kermany: one folder around splits": (
        {"OCT2017/train/CNV/*.jpeg": 5, "OCT2017/train/DRUSEN/*.jpeg": 5,
         "OCT2017/val/CNV/*.jpeg": 2, "OCT2017/val/DRUSEN/*.jpeg": 2,
         "OCT2017/test/CNV/*.jpeg": 3, "OCT2017/test/DRUSEN/*.jpeg": 3},
        {"train/CNV": 5, "train/DRUSEN": 5, "val/CNV": 2, "val/DRUSEN": 2, "test/CNV": 3,
         "test/DRUSEN": 3},
        "everything is in the folder OCT2017",
    ),
    "Kaggle brain MRI: a copy of itself inside": (
        {"yes/*.jpg": 4, "no/*.jpg": 4, "brain_tumor_dataset/yes/*.jpg": 4,
         "brain_tumor_dataset/no/*.jpg": 4},
        {"yes": 4, "no": 4},
        "brain_tumor_dataset/ repeats the folders beside it: its 8 images were left out",
    ),
    "Kermany: a copy of the splits inside": (
        {f"{around}{split}/{name}/*.jpeg": 3 for around in ("", "chest_xray/")
         for split in ("train", "val", "test") for name in ("NORMAL", "PNEUMONIA")},
        {f"{split}/{name}": 3 for split in ("train", "val", "test")
         for name in ("NORMAL", "PNEUMONIA")},
        "chest_xray/ repeats the folders beside it: its 18 images were left out",
    ),
    "BUSI: masks beside images": (
        {"benign/benign (*).png": 4, "benign/benign (*)_mask.png": 4,
         "benign/benign (*)_mask_1.png": 1, "normal/normal (*).png": 3,
         "normal/normal (*)_mask.png": 3},
        {"benign": 4, "normal": 3},
        "8 masks were left out, such as benign/benign (000)_mask.png",
    ),
    "COVID radiography: folders images and masks": (
        {"COVID/images/COVID-*.png": 4, "COVID/masks/COVID-*.png": 4,
         "Normal/images/Normal-*.png": 3, "Normal/masks/Normal-*.png": 3},
        {"COVID": 4, "Normal": 3},
        "7 masks were left out, such as COVID/masks/COVID-000.png",
    ),
    "BreakHis: many folders around": (
        {"BreaKHis_v1/histology_slides/breast/benign/SOB/adenosis/SOB_B_A_14-2254*AB/40X/a.png": 4,
         "BreaKHis_v1/histology_slides/breast/malignant/SOB/papillary/SOB_M_P_14-1*/40X/a.png": 3},
        {"benign": 4, "malignant": 3},
        "everything is in the folder BreaKHis_v1/histology_slides/breast",
    ),
    "splits below the classes": (
        {"NORMAL/train/*.png": 4, "NORMAL/test/*.png": 2, "PNEU/train/*.png": 5,
         "PNEU/test/*.png": 3},
        {"train/NORMAL": 4, "test/NORMAL": 2, "train/PNEU": 5, "test/PNEU": 3},
        None,
    ),
    "patients below the classes": (
        {"a/patient1/*.png": 3, "a/patient2/*.png": 3, "b/patient3/*.png": 2},
        {"a": 6, "b": 2},
        None,
    ),
    "classes of mask and no mask": (
        {"mask/*.png": 3, "no_mask/*.png": 3}, {"mask": 3, "no_mask": 3}, None
    ),
    "numbered classes": (
        {f"{grade}/*.png": 2 for grade in range(5)}, {str(grade): 2 for grade in range(5)}, None
    ),
    "sequences below the classes": (
        {"AD/p1/T1/*.png": 2, "AD/p1/T2/*.png": 2, "CN/p2/T1/*.png": 2, "CN/p2/T2/*.png": 2},
        {"AD": 4, "CN": 4},
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_read_as_it_is_meant(name: str) -> None:
    counts, expected, note = LAYOUTS[name]
    found = layout_of(counts)
    assert summary(found) == expected
    assert list(found.notes) == ([] if note is None else [note])


def test_documents_beside_the_folder_around_everything_are_ignored() -> None:
    splits = {f"set/{split}/{name}/*.png": 3 for split in ("train", "test") for name in "ab"}
    others = ("README.txt", "more/licence/terms.txt", "set/train/models/best.pt")
    found = layout_of(splits, *others)
    assert summary(found) == {f"{split}/{name}": 3 for split in ("train", "test") for name in "ab"}
    assert list(found.notes) == [
        "everything is in the folder set",
        "3 files that are not images were ignored",
    ]


REFUSED = {
    "HAM10000": (
        {"HAM10000_images_part_1/*.jpg": 4, "HAM10000_images_part_2/*.jpg": 4},
        ["HAM10000_metadata.csv"],
        r"'HAM10000_images_part_1', 'HAM10000_images_part_2' look like parts of an archive, not "
        r"like classes \(perhaps HAM10000_metadata.csv says what they are\)",
    ),
    "NIH-14": (
        {"images_001/images/*.png": 4, "images_002/images/*.png": 4},
        ["Data_Entry_2017.csv", "BBox_List_2017.csv"],
        "look like parts of an archive.*BBox_List_2017.csv",
    ),
    "APTOS": (
        {"train_images/*.png": 4, "test_images/*.png": 4},
        ["train.csv", "test.csv"],
        r"folders of classes in 'test_images', 'train_images'. Received: images, .*test.csv says",
    ),
    "MURA": (
        {f"{split}/XR_{part}/patient0*/study{i}_{label}/image1.png": 3
         for split in ("train", "valid") for part in ("HAND", "WRIST")
         for i, label in ((1, "positive"), (2, "negative"))},
        [],
        r"Below the folders 'XR_HAND', 'XR_WRIST' are .* named 'negative', 'positive', which look"
        r".*--label-from '\(negative\|positive\)'",
    ),
    "CheXpert": (
        {"train/patient0*/study1/view1_frontal.jpg": 12, "valid/patient1*/study1/view1.jpg": 3},
        ["train.csv"],
        r"The 15 folders 'patient0000', .* look like patients, not like classes \(perhaps train",
    ),
    "IQ-OTH": (
        {"Bengin cases/*.jpg": 4, "Malignant cases/*.jpg": 4, "Test cases/*.jpg": 4},
        ["IQ-OTH_NCCD lung cancer.txt"],
        r"The folder 'Test cases' beside 'Bengin cases', 'Malignant cases' holds images without cl"
        r".*--exclude 'Test cases', or, if it is a class, name all classes with --classes",
    ),
    "a test set without labels": (
        {"train/a/*.png": 4, "train/b/*.png": 4, "test/*.png": 4},
        [],
        r"The folder 'test' beside 'train' holds images without classes",
    ),
    "a class of another format": (
        {"a/*.png": 4, "b/*.png": 4, "c/*.nrrd": 5},
        [],
        r"The folder 'c' beside those of classes holds 5 .nrrd files, which .*--exclude 'c'",
    ),
    "a class of a format that nobody listed": (
        {"around/a/*.png": 4, "around/b/*.png": 4, "around/c/*.xyz": 5},
        ["around/c/readme.txt", "readme.txt"],
        r"The folder 'c' beside those of classes holds 5 .xyz files, which .*--exclude 'c'",
    ),
    "two classes of a format that nobody listed": (
        {"a/*.png": 4, "b/*.png": 4, "c/*.xyz": 5, "d/*.abc": 5},
        [],
        r"holds 5 .xyz files, which .* \(so do others: 'd'\).*--exclude 'c,d'",
    ),
    "a class without extensions, in splits": (
        {"train/a/*.png": 4, "train/b/*.png": 4, "train/c/*": 5, "test/a/*.png": 1,
         "test/b/*.png": 1},
        [],
        r"The folder 'c' beside those of classes holds 5 extensionless files",
    ),
    "another set inside": (
        {"yes/*.jpg": 4, "no/*.jpg": 4, "more/yes/x*.jpg": 2, "more/no/x*.jpg": 2},
        [],
        r"The folder 'more' has folders of the names that are beside it: 'no', 'yes'",
    ),
    "another set inside, with some of the images": (
        {"yes/*.jpg": 2, "no/*.jpg": 2, "more/yes/*.jpg": 3, "more/no/*.jpg": 2},
        [],
        r"The folder 'more' has folders of the names that are beside it: 'no', 'yes'",
    ),
    "splits inside, with some of the images": (
        {"train/a/*.jpg": 2, "test/a/*.jpg": 2, "more/train/a/*.jpg": 3, "more/test/a/*.jpg": 2},
        [],
        r"Received: the splits 'test', 'train' beside 'more'.*--exclude 'more'",
    ),
    "splits in some classes": (
        {"a/train/*.png": 4, "a/test/*.png": 4, "b/*.png": 4},
        [],
        r"in a folder of a split, as others of its class are. Received: b/000.png",
    ),
    "ISIC": ({"ISIC_*.jpg": 4}, ["truth.csv"], r"images directly in set, .*perhaps truth.csv"),
    "not UTF-8": ({"caf\udce9/*.png": 4, "b/*.png": 4}, [], r"the folder caf\\xe9 is not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_layout_without_clear_classes_is_refused(name: str) -> None:
    counts, others, message = REFUSED[name]
    with pytest.raises(DataError, match=message) as error:
        layout_of(counts, *others)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


MURA = {
    f"{split}/XR_{part}/patient0*/study{i}_{label}/image1.png": 3
    for split in ("train", "valid")
    for part in ("HAND", "WRIST")
    for i, label in ((1, "positive"), (2, "negative"))
}


def test_classes_are_found_in_paths() -> None:
    found = layout_of(MURA, "train.csv", label_from=r"study\d+_(positive|negative)")
    assert summary(found) == {
        "train/positive": 6, "train/negative": 6, "val/positive": 6, "val/negative": 6
    }  # fmt: skip
    assert list(found.notes) == ["1 file that is not an image was ignored"]
    both = layout_of(MURA, label_from=r"XR_([A-Z]+).*_(positive|negative)")
    assert summary(both)["train/HAND/positive"] == 3


def test_classes_in_names_need_no_folders() -> None:
    flat = {"cat.*.jpg": 3, "dog.*.jpg": 4}
    assert summary(layout_of(flat, label_from="^[a-z]+")) == {"cat": 3, "dog": 4}
    split = {f"set/{split}/{name}": n for split in ("train", "test") for name, n in flat.items()}
    found = layout_of(split, label_from=r"([a-z]+)\.[0-9]+")
    assert summary(found) == {"train/cat": 3, "train/dog": 4, "test/cat": 3, "test/dog": 4}
    lone = layout_of({f"train/{name}": n for name, n in flat.items()}, label_from="(cat|dog)")
    assert summary(lone) == {"cat": 3, "dog": 4}


@pytest.mark.parametrize(
    ("counts", "label_from", "message"),
    [
        (MURA, "(positive)", "--label-from matches 12 of 24 names, but not train/XR_HAND/patient"),
        ({"train/a*.png": 3, "test/a*.png": 3, "more/b*.png": 3}, "(a|b)",
         "not both. Received: the splits 'test', 'train' beside 'more'.*--exclude 'more'"),
        ({"train/a*.png": 3, "b*.png": 1}, "(a|b)", "beside 'b000.png'"),
    ],
)  # fmt: skip
def test_classes_that_are_not_found_in_paths_are_refused(
    counts: dict[str, int], label_from: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        layout_of(counts, label_from=label_from)


@pytest.mark.parametrize("options", [{}, {"label_from": "^([^/]+)/"}])
def test_classes_that_differ_in_capital_letters_are_refused_unless_merged(
    tmp_path: Path, options: dict[str, str]
) -> None:
    make_files(tmp_path, *(f"{name}/{i}.png" for name in ("Sick", "SICK", "ok") for i in "01"))
    with pytest.raises(DataError, match=r"'SICK', 'Sick' differ.* --merge sick=SICK,Sick. If not"):
        open_source(DataSettings(source=str(tmp_path), **options))
    merge = {"sick": ("SICK", "Sick")}
    source = open_source(DataSettings(source=str(tmp_path), merge=merge, **options))
    assert sorted(source.classes) == ["ok", "sick"]
    chosen = open_source(DataSettings(source=str(tmp_path), classes=("Sick", "SICK"), **options))
    assert sorted(chosen.classes) == ["SICK", "Sick"]


def test_dicom_files_without_an_image_need_no_class_in_their_path(tmp_path: Path) -> None:
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 900, (8, 8), dtype=np.int16)
        write_dicom(tmp_path / "set" / f"p{i}" / f"{'CT' if i % 2 else 'MR'}_{i}.dcm", pixels)
    write_dicom(tmp_path / "set" / "p0" / "report.dcm")
    settings = DataSettings(source=str(tmp_path / "set"), label_from="(CT|MR)_")
    source = open_source(settings)
    assert source.classes == ("CT", "MR")
    assert len(source.items) == 4
    assert any(
        "1 DICOM file left out (a DICOM file without an image)" in it for it in source.warnings
    )
    write_dicom(tmp_path / "set" / "p0" / "other.dcm", np.zeros((8, 8), np.int16))
    with pytest.raises(DataError, match=r"matches 4 of 5 names, but not p0/other\.dcm"):
        open_source(settings)


def test_classes_found_in_paths_can_be_chosen(tmp_path: Path) -> None:
    make_files(tmp_path, *(f"x/{name}_{i}.png" for name in "abc" for i in range(2)))
    settings = DataSettings(source=str(tmp_path), label_from="x/(.)_", classes=("a", "c"))
    source = open_source(settings)
    assert source.classes == ("a", "c")
    assert [item.label for item in source.items] == [0, 0, 1, 1]


def test_classes_of_tables_are_not_found_in_paths(tmp_path: Path) -> None:
    make_files(tmp_path, "0.png", "1.png")
    (tmp_path / "t.csv").write_text("image,label\n0.png,a\n1.png,b\n")
    with pytest.raises(DataError, match="--label-from cannot be used with"):
        open_source(DataSettings(source=str(tmp_path / "t.csv"), label_from="(.)"))


def test_named_class_is_no_copy() -> None:
    counts = {f"{around}{side}/*.png": 3 for around in ("", "a/") for side in ("left", "right")}
    assert summary(layout_of(counts)) == {"left": 3, "right": 3}
    assert summary(layout_of(counts, classes=["a"]))["a"] == 6


def test_named_classes_may_look_like_anything() -> None:
    counts = {"placebo/*.png": 4, "test/*.png": 4, "part_1/*.png": 2}
    assert summary(layout_of(counts, classes=["placebo", "test"]))["test"] == 4
    parts = {"part_1/*.png": 4, "part_2/*.png": 4}
    assert summary(layout_of(parts, classes=["part_1", "part_2"])) == {"part_1": 4, "part_2": 4}


def make_files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_only_named_classes_are_used(tmp_path: Path) -> None:
    make_files(tmp_path, *(f"{name}/{i}.png" for name in "abcd" for i in range(2)))
    source = open_source(DataSettings(source=str(tmp_path), classes=("d", "b")))
    assert source.classes == ("b", "d")
    assert [(item.name, item.label) for item in source.items] == [
        ("b/0.png", 0), ("b/1.png", 0), ("d/0.png", 1), ("d/1.png", 1)
    ]  # fmt: skip
    assert source.n_bytes(2) == 1
    with pytest.raises(DataError, match=r"no class 'e' for --classes. Known: a, b, c, d\."):
        open_source(DataSettings(source=str(tmp_path), classes=("e",)))


def test_classes_are_merged(tmp_path: Path) -> None:
    make_files(tmp_path, *(f"{name}/{i}.png" for name in "abcd" for i in range(2)))
    merge = {"x": ("a", "c")}
    source = open_source(DataSettings(source=str(tmp_path), merge=merge))
    assert source.classes == ("x", "b", "d")
    assert [item.label for item in source.items] == [0, 0, 1, 1, 0, 0, 2, 2]
    for classes in (("x", "b"), ("a", "b", "c")):
        source = open_source(DataSettings(source=str(tmp_path), merge=merge, classes=classes))
        assert source.classes == ("x", "b")
        assert [item.name for item in source.items][-1] == "c/1.png"
    with pytest.raises(DataError, match=r"no class 'e' for --merge. Known: a, b, c, d\."):
        open_source(DataSettings(source=str(tmp_path), merge={"x": ("a", "e")}))
    with pytest.raises(ValueError, match="each class in one part of `merge` only"):
        DataSettings(source="s", merge={"x": ("a",), "y": ("a",)})


def test_excluded_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make_files(
        tmp_path, "a/0.png", "a/0_left.png", "b/0.png", "Test cases/0.png", "b/old/0.png",
        "a/old/1.png",
    )  # fmt: skip
    exclude = ("*_left.png", "Test cases", "b/old")
    source = open_source(DataSettings(source=str(tmp_path), exclude=exclude))
    assert [item.name for item in source.items] == ["a/0.png", "a/old/1.png", "b/0.png"]
    assert list(source.warnings) == ["3 files and folders were left out by --exclude"]


def test_files_of_systems_and_network_drives_are_no_images(tmp_path: Path) -> None:
    names = ["a/0.png", "b/0.png", "a/@eaDir/0.png/SYNOPHOTO_THUMB_S.png", "a/Thumbs.db",
             "__MACOSX/a/._0.png", "b/.DS_Store", "#recycle/c/0.png"]  # fmt: skip
    make_files(tmp_path, *names)
    source = open_source(DataSettings(source=str(tmp_path)))
    assert [item.name for item in source.items] == names[:2]
    assert list(source.warnings) == []
