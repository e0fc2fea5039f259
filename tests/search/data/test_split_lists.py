"""Splits that settings change: a source's own ones ignored, or lists of names instead."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, inspect_source, prepare
from search.data.open_source import open_source
from search.data.source_api import Source
from search.errors import DataError
from tests.search.data.dicom_files import write_dicom

MakeFolder = Callable[..., Path]


def write_list(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def open_listed(root: Path, lists: Mapping[str, str], **options: object) -> Source:
    return open_source(DataSettings(source=str(root), split_list=lists, **options))


def splits_of(source: Source) -> dict[str, str]:
    return {item.name: item.split for item in source.items}


def test_own_splits_of_a_folder_are_ignored(make_folder: MakeFolder, cache_dir: Path) -> None:
    root = make_folder({"train/a": 12, "train/b": 12, "val/a": 1, "val/b": 1, "test/a": 2})
    settings = DataSettings(source=str(root), own_splits="ignore", image_size=8)
    source = open_source(settings)
    assert {item.split for item in source.items} == {""}
    assert list(source.warnings) == [
        "the source's own splits are ignored: train 24, val 2, test 2"
    ]
    data = prepare(settings, cache_dir)
    assert sum(data.counts.values()) == 28
    assert data.counts["val"] == 4
    assert data.metadata["own_splits"] == []


def test_groups_that_own_splits_divide_are_split_anew(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    root = make_folder({f"{split}/{'ab'[i % 2]}/p{i}": 2 for i in range(12) for split in
                        ("train", "test")})  # fmt: skip
    settings = {"source": str(root), "group_from": r"(p\d+)/", "image_size": 8}
    with pytest.raises(
        DataError, match=r"12 of 12 groups are in several splits:\n(.*\n)*.*--own-splits ignore"
    ):
        prepare(DataSettings(**settings), cache_dir)
    data = prepare(DataSettings(**settings, own_splits="ignore"), cache_dir)
    groups = [set(data.groups(split)) for split in data.counts]  # type: ignore[arg-type]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12


def test_own_splits_of_arrays_and_tables_are_ignored(
    make_npz: Callable[..., Path], make_folder: MakeFolder
) -> None:
    arrays = {
        f"{split}_{what}": value
        for split in ("train", "test")
        for what, value in (("images", np.zeros((4, 8, 8), np.uint8)), ("labels", [0, 1, 0, 1]))
    }
    root = make_folder({"a": 2, "b": 2})
    table = root / "t.csv"
    rows = [
        f"{name}/00{i}.png,{name},{s}" for name in "ab" for i, s in enumerate(("train", "test"))
    ]
    write_list(table, "image,label,split", *rows)
    for source in (make_npz(**arrays), table):
        settings = DataSettings(source=str(source))
        assert {it.split for it in open_source(settings).items} == {"train", "test"}
        ignoring = settings.model_copy(update={"own_splits": "ignore"})
        assert {it.split for it in open_source(ignoring).items} == {""}


def test_splits_that_are_not_there_cannot_be_ignored(make_folder: MakeFolder) -> None:
    settings = DataSettings(source=str(make_folder({"a": 2, "b": 2})), own_splits="ignore")
    message = "--own-splits cannot be used with .*, which has no splits of its own: leave it out"
    with pytest.raises(DataError, match=message):
        open_source(settings)


def test_few_images_of_a_given_split_are_a_reason_to_ignore_it(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 5, "train/b": 5, "val/a": 1, "val/b": 1})
    found = inspect_source(DataSettings(source=str(root)))
    assert found.warnings[-1].endswith("of 0.50 (--own-splits ignore makes new splits)")


def test_listed_images_have_their_split_and_others_are_for_training(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder({"a": 5, "b": 5})
    path = write_list(tmp_path / "test.txt", "a/000.png", "", "b/001", "./set\\source/a/002.png",
                      "b/001", "c/9.png")  # fmt: skip
    source = open_listed(root, {"test": path})
    tested = {name for name, split in splits_of(source).items() if split == "test"}
    assert tested == {"a/000.png", "a/002.png", "b/001.png"}
    assert set(splits_of(source).values()) == {"train", "test"}
    assert list(source.warnings) == [
        f"3 images for test by {path}, which also names 1 that are not used"
    ]


def test_images_of_no_list_are_left_out_if_one_lists_training(
    make_folder: MakeFolder, tmp_path: Path, cache_dir: Path
) -> None:
    root = make_folder({"a": 12, "b": 12})
    lists = {
        "train": write_list(tmp_path / "train.txt", *(f"{c}/{i:03}.png" for c in "ab"
                                                      for i in range(8))),
        "val": write_list(tmp_path / "val.txt", "a/010.png", "b/010.png"),
    }  # fmt: skip
    settings = DataSettings(source=str(root), split_list=lists, image_size=8)
    assert "6 images of no list are left out (--split-list)" in open_source(settings).warnings
    data = prepare(settings, cache_dir)
    assert data.counts["val"] == 2
    assert sum(data.counts.values()) == 18
    assert prepare(settings, cache_dir).path == data.path
    write_list(tmp_path / "val.txt", "a/010.png", "b/011.png")
    assert prepare(settings, cache_dir).path != data.path


def test_rows_of_a_table_are_listed(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"x1": 3, "x2": 3})
    rows = [f"{x}/00{i}.png,{'ab'[i % 2]}" for x in ("x1", "x2") for i in range(3)]
    write_list(root / "t.csv", "image,label", *rows)
    source = open_listed(root / "t.csv", {"val": write_list(tmp_path / "v.txt", "x2/001.png")})
    assert [name for name, split in splits_of(source).items() if split == "val"] == ["x2/001.png"]


def test_frames_of_a_listed_file_have_its_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a/0", "a/1", "b/0", "b/1"):
        pixels = rng.integers(0, 256, (3, 8, 8), dtype=np.uint8)
        write_dicom(tmp_path / "set" / f"{name}.dcm", pixels)
    path = write_list(tmp_path / "test.txt", "a/1", "b/0.dcm")
    found = splits_of(open_listed(tmp_path / "set", {"test": path}))
    assert {name for name, split in found.items() if split == "test"} == {
        f"{name}.dcm#{n}" for name in ("a/1", "b/0") for n in (1, 2, 3)
    }
    path = write_list(tmp_path / "one.txt", "a/1.dcm#2")
    found = splits_of(open_listed(tmp_path / "set", {"test": path}))
    assert [name for name, split in found.items() if split == "test"] == ["a/1.dcm#2"]


def test_uid_in_a_list_is_not_shown(make_folder: MakeFolder, tmp_path: Path) -> None:
    lists = {"test": write_list(tmp_path / "test.txt", "1.2.826.0.1.3680043.8.498.7")}
    with pytest.raises(DataError, match="names an image of the source") as error:
        open_listed(make_folder({"a": 3, "b": 3}), lists)
    assert "1.2.826" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["000.png"],
            "'000.png' of .*test.txt .* fits 2 images, such as a/000.png, b/000.png. Wr",
        ),
        (["x.png", "y.png"], "None of the 2 lines of .*test.txt .* names an .*, such as 'x.png'"),
        ([], "None of the 0 lines"),
        (["a/000.png", "a/001.png"], "in one list only .* 'a/001.png' for val and for test"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    make_folder: MakeFolder, tmp_path: Path, lines: list[str], message: str
) -> None:
    lists = {
        "val": write_list(tmp_path / "val.txt", "a/001.png"),
        "test": write_list(tmp_path / "test.txt", *lines),
    }
    with pytest.raises(DataError, match=message):
        open_listed(make_folder({"a": 3, "b": 3}), lists)


def test_files_that_are_no_lists_are_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 3})
    (tmp_path / "image.txt").write_bytes(b"\x89PNG\xff")
    (tmp_path / "long.txt").write_text("a/" * 2049)
    for name, message in (
        ("long.txt", r"Expected lines of at most 4,096 characters in .*long.txt"),
        ("none.txt", r"Cannot read .*none.txt \(--split-list\): No such file"),
        ("source", r"Cannot read .*source \(--split-list\): Is a directory"),
        (
            "image.txt",
            r"image.txt \(--split-list\) is not UTF-8 text. Expected a name of an image",
        ),
    ):
        with pytest.raises(DataError, match=message):
            open_listed(root, {"test": str(tmp_path / name)})


def test_lists_do_not_replace_own_splits_silently(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"train/a": 3, "train/b": 3, "test/a": 2, "test/b": 2})
    lists = {"val": write_list(tmp_path / "val.txt", "train/a/000.png")}
    with pytest.raises(DataError, match="splits of its own beside those of --split-list: test, t"):
        open_listed(root, lists)
    found = splits_of(open_listed(root, lists, own_splits="ignore"))
    assert found["train/a/000.png"] == "val"
    assert found["test/a/000.png"] == "train"


def test_lists_have_no_meaning_for_arrays(make_npz: Callable[..., Path], tmp_path: Path) -> None:
    path = make_npz(images=np.zeros((4, 8, 8), np.uint8), labels=[0, 1, 0, 1])
    with pytest.raises(DataError, match="--split-list cannot be used with"):
        open_listed(path, {"test": str(tmp_path / "a.txt")})
