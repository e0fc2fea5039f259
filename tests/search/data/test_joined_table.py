"""A second table whose columns are joined to those of a manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.data import DataSettings, prepare
from search.data.open_source import open_source
from search.data.source_api import Source
from search.errors import DataError


@pytest.fixture
def folder(make_folder: Callable[..., Path]) -> Path:
    """Six images with a table of labels."""
    root = make_folder({"x": 6})
    write(root / "truth.csv", "image,label", *(f"00{i},{'ab'[i % 2]}" for i in range(6)))
    return root


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def open_joined(folder: Path, *lines: str, **options: Any) -> Source:
    path = write(folder / "more.csv", *lines)
    return open_source(DataSettings(source=str(folder / "truth.csv"), join=str(path), **options))


def test_columns_of_the_other_table_are_used(folder: Path) -> None:
    rows = [f"{40 + i},00{i},L{i // 2},{'mf'[i % 2]}" for i in range(5)]
    source = open_joined(folder, "age,image,lesion_id,sex", *rows)
    assert [item.group for item in source.items] == ["L0", "L0", "L1", "L1", "L2", ""]
    assert source.warnings[:3] == [
        "path from image, label from label, group from lesion_id",
        "joined by image, from more.csv: age, lesion_id, sex",
        "1 row has no partner in more.csv",
    ]
    chosen = open_joined(folder, "age,image,lesion_id,sex", *rows, where=("sex=m",))
    assert [item.name for item in chosen.items] == ["x/000.png", "x/002.png", "x/004.png"]


def test_changed_cells_are_prepared_again(folder: Path, cache_dir: Path) -> None:
    path = write(folder / "more.csv", "image,patient", *(f"00{i},{i}" for i in range(6)))
    settings = DataSettings(source=str(folder / "truth.csv"), join=str(path), image_size=8)
    first = prepare(settings, cache_dir)
    write(path, "image,patient", *(f"00{i},{max(i, 1)}" for i in range(6)))
    assert prepare(settings, cache_dir).path != first.path


def test_labels_may_be_in_the_other_table(folder: Path) -> None:
    write(folder / "truth.csv", "image", *(f"00{i}" for i in range(6)))
    source = open_joined(folder, "image,dx", *(f"00{i},{'ab'[i % 2]}" for i in range(6)))
    assert source.classes == ("a", "b")


def test_rows_that_agree_count_once_and_others_are_refused(folder: Path) -> None:
    rows = [f"00{i // 2},{i // 2}" for i in range(12)]
    assert len(open_joined(folder, "image,patient", *rows).items) == 6
    with pytest.raises(
        DataError, match=r"one row for each image in .*more.csv \(--join\). .*row 3"
    ):
        open_joined(folder, "image,patient", "000,7", "000,8")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name,patient", "000,7"], r"column of images that the manifest and .* both have. Re"),
        (["image,patient", "9,7"], r"No row of the manifest has a partner .*: the cells of 'image'"
         r" differ, such as '000' and '9'"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(folder: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_joined(folder, *lines)


def test_table_that_would_take_too_much_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.joined_table.MAX_CELLS", 23)
    rows = ["image,x,y", "000,1,2"]
    with pytest.raises(DataError, match=r"at most 23 cells with those of .*more.csv \(--join\)"):
        open_joined(folder, *rows)
    monkeypatch.setattr("search.data.joined_table.MAX_CELLS", 24)
    assert len(open_joined(folder, *rows).items) == 6


def test_missing_table_is_refused(folder: Path) -> None:
    settings = {"source": str(folder / "truth.csv"), "join": str(folder / "none.csv")}
    with pytest.raises(
        DataError, match=r"a table for --join. Received: .*none.csv, which does not exist"
    ):
        open_source(DataSettings(**settings))
    with pytest.raises(DataError, match="--join cannot be used with"):
        open_source(DataSettings(source=str(folder), join="t.csv"))
