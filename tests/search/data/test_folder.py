import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, PreparedSet, inspect_source, prepare
from search.data.decode import decoder_warnings
from search.data.folder import FolderSource
from search.data.inference_images import PreparedImage, prepare_image
from search.data.open_source import open_source
from search.data.source_api import Decoded, UnreadableImage
from search.errors import DataError

MakeFolder = Callable[..., Path]


def _open(root: Path, **options: object) -> FolderSource:
    return FolderSource(root, DataSettings(source=str(root), **options))


def _prepare(root: Path, cache_dir: Path, **options: object) -> PreparedSet:
    return prepare(DataSettings(source=str(root), image_size=8, **options), cache_dir)


def _split_sizes(source: FolderSource) -> dict[str, int]:
    splits = [item.split for item in source.items]
    return {split: splits.count(split) for split in set(splits)}


def test_classes_are_the_folder_names_in_order(make_folder: MakeFolder) -> None:
    source = _open(make_folder({"zebra": 3, "ant": 4}))
    assert source.classes == ("ant", "zebra")
    assert [item.label for item in source.items] == [0] * 4 + [1] * 3
    assert _split_sizes(source) == {"": 7}


def test_images_below_a_class_folder_belong_to_the_class(make_folder: MakeFolder) -> None:
    source = _open(make_folder({"a/patient1": 2, "a/patient2/left": 2, "b": 1}))
    assert [item.label for item in source.items] == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "TESTING")])
def test_split_folders_above_the_classes_are_the_splits(
    make_folder: MakeFolder, names: tuple[str, str, str]
) -> None:
    counts = {
        f"{name}/{kind}": n for name, n in zip(names, (5, 2, 3), strict=True) for kind in "ab"
    }
    source = _open(make_folder(counts))
    assert source.classes == ("a", "b")
    assert _split_sizes(source) == {"train": 10, "val": 4, "test": 6}


def test_train_alone_is_split_like_a_source_without_splits(make_folder: MakeFolder) -> None:
    assert _split_sizes(_open(make_folder({"train/a": 4, "train/b": 4}))) == {"": 8}


def test_classes_beside_splits_are_refused(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 3, "train/b": 3, "extra": 3})
    with pytest.raises(DataError, match=r"not both. Received: the splits 'train' beside 'extra'"):
        _open(root)


def test_test_without_train_is_refused(make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match=r"Expected a folder 'train' in .*Received: 'test'"):
        _open(make_folder({"test/a": 3, "test/b": 3}))


def test_hidden_and_other_files_are_left_out_and_counted(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3, ".thumbnails": 2, "__MACOSX/a": 2})
    (root / "a" / ".DS_Store").touch()
    (root / "a" / "notes.txt").touch()
    (root / "labels.csv").touch()
    source = _open(root)
    assert len(source.items) == 6
    assert source.warnings == ["2 files that are not images were ignored"]


def test_images_outside_class_folders_are_left_out_and_counted(
    make_folder: MakeFolder, write_image: Callable[..., Path], noise: Callable[..., np.ndarray]
) -> None:
    root = make_folder({"a": 3, "b": 3})
    write_image(root / "overview.png", noise(99))
    source = _open(root)
    assert len(source.items) == 6
    assert source.warnings == ["1 image outside the class folders was ignored"]


def test_images_without_class_folders_are_refused(
    tmp_path: Path, write_image: Callable[..., Path], noise: Callable[..., np.ndarray]
) -> None:
    write_image(tmp_path / "one.png", noise(1))
    with pytest.raises(
        DataError, match=r"folder named for its class. Received: 1 images directly"
    ):
        _open(tmp_path)


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "scan.nrrd").touch()
    with pytest.raises(DataError, match=r"No images in .*JPEG 2000, .*Found: 1 other"):
        _open(tmp_path)


def test_unreadable_folder_is_refused(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder({"a": 3, "b": 3})

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"Cannot list .*source: Permission denied"):
        _open(root)


def test_links_are_followed(make_folder: MakeFolder, tmp_path: Path) -> None:
    """Class folders and files may be links into a store elsewhere, and links may be circular."""
    root, outside = make_folder({"a": 3, "b": 3}), make_folder({"c": 2}, "outside")
    (root / "a" / "inside.png").symlink_to(root / "b" / "000.png")
    (root / "a" / "outside.png").symlink_to(outside / "c" / "000.png")
    (root / "a" / "dangling.png").symlink_to(root / "gone.png")
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    (root / "c").symlink_to(outside / "c", target_is_directory=True)
    source = _open(root)
    assert source.classes == ("a", "b", "c")
    names = [item.name for item in source.items]
    assert len(names) == 3 + 2 + 3 + 2
    assert {"a/inside.png", "a/outside.png", "c/001.png"} <= set(names)
    assert source.warnings == ["1 link leads nowhere: a/dangling.png"]
    assert not isinstance(source.read(names.index("a/outside.png")), UnreadableImage)


def test_pipes_are_not_opened(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    os.mkfifo(root / "a" / "pipe.png")
    assert len(_open(root).items) == 6


def test_extensions_count_in_any_case(
    tmp_path: Path, write_image: Callable[..., Path], noise: Callable[..., np.ndarray]
) -> None:
    names = ["a/1.PNG", "a/2.Jpeg", "a/3.JPG", "b/1.bmp", "b/2.TIF", "b/3.tiff"]
    for i, name in enumerate(names):
        write_image(tmp_path / name, noise(i))
    assert [item.name for item in _open(tmp_path).items] == sorted(names)


def test_mixed_sizes_are_stretched_to_one(
    tmp_path: Path,
    cache_dir: Path,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    for i, shape in enumerate([(8, 8), (16, 12), (5, 30), (64, 64), (9, 8), (40, 11)]):
        write_image(tmp_path / "source" / "ab"[i % 2] / f"{i}.png", noise(i, *shape))
    prepared = _prepare(tmp_path / "source", cache_dir)
    assert prepared.image_shape == (8, 8, 1)
    assert sum(prepared.counts.values()) == 6


def test_image_of_the_right_size_is_not_changed(
    tmp_path: Path,
    cache_dir: Path,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    for i in range(6):
        write_image(tmp_path / "source" / "ab"[i % 2] / f"{i}.png", noise(i, 8, 8))
    prepared = _prepare(tmp_path / "source", cache_dir)
    found = np.concatenate([prepared.images(split) for split in prepared.counts])[..., 0]
    expected = np.stack([noise(i, 8, 8) for i in range(6)])
    assert {image.tobytes() for image in found} == {image.tobytes() for image in expected}


def test_shrinking_averages_over_all_pixels(
    tmp_path: Path, cache_dir: Path, write_image: Callable[..., Path]
) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    for i in range(6):
        image = stripes.copy()
        image[i] = 0
        write_image(tmp_path / "source" / "ab"[i % 2] / f"{i}.png", image)
    images = _prepare(tmp_path / "source", cache_dir).images("train")
    assert images[:, 2:].min() > 100
    assert images.max() < 155


def test_auto_is_rgb_when_more_than_one_image_has_color(
    make_folder: MakeFolder,
    cache_dir: Path,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    root = make_folder({"a": 4, "b": 4})
    assert _prepare(root, cache_dir).image_shape == (8, 8, 1)
    for seed in (77, 78):
        write_image(root / "a" / f"color{seed}.png", noise(seed, 8, 8, 3))
    prepared = _prepare(root, cache_dir)
    assert prepared.image_shape == (8, 8, 3)
    images = np.concatenate([prepared.images(split) for split in prepared.counts])
    grey = (images == images[..., :1]).all(axis=(1, 2, 3))
    assert sorted(grey) == [False] * 2 + [True] * 8
    assert {it.tobytes() for it in images[~grey]} == {
        noise(seed, 8, 8, 3).tobytes() for seed in (77, 78)
    }
    (warning,) = (it for it in prepared.metadata["warnings"] if "color" in it)
    assert warning.startswith("2 of 10 images have color, a/color7")
    assert warning.endswith(": all images are read as color (--color grey makes them grey)")


def test_colored_mark_on_one_image_leaves_the_others_grey(
    make_folder: MakeFolder,
    cache_dir: Path,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    root = make_folder({"a": 4, "b": 4})
    marked = noise(77, 20, 30, 1).repeat(3, axis=2)
    marked[3:6, 3:9] = 255, 0, 0
    path = write_image(root / "a" / "marked.png", marked)
    prepared = _prepare(root, cache_dir)
    assert prepared.image_shape == (8, 8, 1)
    message = (
        "1 of 9 images has color, a/marked.png: it is made grey like the others"
        " (--color rgb keeps the color)"
    )
    assert prepared.metadata["warnings"] == [message]
    assert message in inspect_source(DataSettings(source=str(root))).warnings
    assert prepared.fit == "pad"
    expected = prepare_image(path, 8, 1, "auto", fit="pad")
    assert isinstance(expected, PreparedImage)
    images = np.concatenate([prepared.images(split) for split in prepared.counts])
    assert sum((it == expected.pixels).all() for it in images) == 1
    for color, channels in (("rgb", 3), ("grey", 1)):
        chosen = _prepare(root, cache_dir, color=color)
        assert chosen.image_shape == (8, 8, channels)
        assert chosen.metadata["warnings"] == []


def test_grey_saved_as_color_counts_as_grey(
    tmp_path: Path,
    cache_dir: Path,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    for i in range(6):
        path = tmp_path / "source" / "ab"[i % 2] / f"{i}.jpg"
        write_image(path, np.repeat(noise(i, 8, 8)[..., None], 3, axis=2), quality=90)
    assert _prepare(tmp_path / "source", cache_dir).image_shape == (8, 8, 1)


def test_color_can_be_requested_or_removed(
    make_folder: MakeFolder,
    cache_dir: Path,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    root = make_folder({"a": 4, "b": 4})
    assert _prepare(root, cache_dir, color="rgb").image_shape == (8, 8, 3)
    write_image(root / "a" / "color.png", noise(77, 8, 8, 3))
    prepared = _prepare(root, cache_dir, color="grey")
    images = np.concatenate([prepared.images(split) for split in prepared.counts])
    expected = np.asarray(Image.fromarray(noise(77, 8, 8, 3)).convert("L"))
    assert expected.tobytes() in {image.tobytes() for image in images}


def _damage(root: Path) -> dict[str, str]:
    truncated = root / "a" / "truncated.png"
    truncated.write_bytes((root / "a" / "000.png").read_bytes()[:60])
    (root / "a" / "empty.jpg").touch()
    (root / "b" / "text.bmp").write_text("not an image")
    return {
        "a/truncated.png": "truncated",
        "a/empty.jpg": "not a PNG, JPEG, BMP, TIFF or WebP",
        "b/text.bmp": "not a PNG, JPEG, BMP, TIFF or WebP",
    }


def test_broken_images_are_named_and_left_out(make_folder: MakeFolder, cache_dir: Path) -> None:
    root = make_folder({"a": 4, "b": 4})
    expected = _damage(root)
    prepared = _prepare(root, cache_dir)
    assert sum(prepared.counts.values()) == 8
    assert prepared.metadata["broken"].keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in prepared.metadata["broken"][name]


def test_broken_image_is_an_error_when_strict(make_folder: MakeFolder, cache_dir: Path) -> None:
    root = make_folder({"a": 4, "b": 4})
    _damage(root)
    _prepare(root, cache_dir)  # A cached set without the broken images is not used.
    with pytest.raises(DataError, match=r"Cannot read the image a/empty.jpg: not a PNG.*strict"):
        _prepare(root, cache_dir, strict=True)


def test_oversize_images_are_left_out_and_counted(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    root = make_folder({"a": 4, "b": 4})
    Image.new("1", (9_000, 8_000)).save(root / "b" / "bomb.png")
    with (root / "a" / "huge.png").open("wb") as file:
        file.truncate(10 * 2**30)
    data = _prepare(root, cache_dir)
    assert sum(data.counts.values()) == 8
    reasons = data.metadata["broken"]
    assert re.search(r"at most 64 megapixels.*9,000 × 8,000$", reasons["b/bomb.png"])
    assert re.search(r"at most 512 MiB. Received: 10,240 MiB", reasons["a/huge.png"])
    with pytest.raises(DataError, match=r"Cannot read the image a/huge.png: Expected image files"):
        _prepare(root, cache_dir, strict=True)


@pytest.mark.parametrize("columns", ["id_code,diagnosis", "image,label"])
def test_table_with_other_labels_than_the_folders_is_noticed(
    make_folder: MakeFolder, columns: str
) -> None:
    root = make_folder({"left": 6, "right": 6})
    for folder in ("left", "right"):
        for number, path in enumerate(sorted((root / folder).iterdir())):
            path.rename(path.with_name(f"{folder[0]}{number}.png"))
    names = [f"{eye}{number}" for eye in "lr" for number in range(6)]

    def write(labels: Sequence[str]) -> None:
        rows = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
        (root / "train.csv").write_text("\n".join([columns, *rows]))

    write([str(i % 3) for i in range(12)])
    message = (
        r"train.csv has other labels for 12 of the 12 images than their folders 'left', 'right'"
    )
    with pytest.raises(DataError, match=message) as caught:
        open_source(DataSettings(source=str(root)))
    assert str(caught.value).endswith(f"search in {root / 'train.csv'}")
    chosen = open_source(DataSettings(source=str(root), classes=("left", "right")))
    assert len(chosen.items) == 12
    assert open_source(DataSettings(source=str(root / "train.csv"))).classes == ("0", "1", "2")
    for labels in (["l"] * 6 + ["r"] * 6, ["a", "b"] * 3 + ["c", "d"] * 3, ["x"] * 12):
        write(labels)  # The same, finer, and coarser.
        assert open_source(DataSettings(source=str(root))).classes == ("left", "right")
    names[:] = [f"other{i}" for i in range(12)]
    write([str(i % 3) for i in range(12)])
    assert open_source(DataSettings(source=str(root))).classes == ("left", "right")


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ("path,label", [f"{name}/{i:03}.png,{name}" for name in "ab" for i in range(6)]),
        ("filename,class,x", [f"a/{i:03}.png,{box},0" for i in range(6) for box in ("p", "q")]),
        ("filename,type", [f"{name}/{i:03}.png,png" for name in "ab" for i in range(6)]),
        ("filename,pixel", [f"{name}/{i:03}.png,{i % 2}" for name in "ab" for i in range(6)]),
    ],
    ids=["equal stems", "boxes", "vague", "no label"],
)
def test_table_that_says_nothing_against_the_folders_is_ignored(
    make_folder: MakeFolder, columns: str, rows: list[str]
) -> None:
    root = make_folder({"a": 6, "b": 6})
    (root / "table.csv").write_text("\n".join([columns, *rows]))
    assert open_source(DataSettings(source=str(root))).classes == ("a", "b")


def test_folder_without_files_is_named(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 4, "b": 4})
    (root / "c" / "inner").mkdir(parents=True)
    source = open_source(DataSettings(source=str(root)))
    assert list(source.warnings) == ["1 folder without files: c/inner"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_damaged_bytes_never_escape_as_another_error(
    tmp_path: Path,
    suffix: str,
    write_image: Callable[..., Path],
    noise: Callable[..., np.ndarray],
) -> None:
    rng = np.random.default_rng(7)
    good = write_image(tmp_path / f"good.{suffix}", noise(1, 16, 16)).read_bytes()
    for i in range(150):
        damaged = bytearray(good)
        for position in rng.integers(0, len(good), 1 + i % 6):
            damaged[position] = rng.integers(256)
        path = tmp_path / "source" / "ab"[i % 2] / f"{i}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged[: len(good) - int(rng.integers(0, 40)) * (i % 3)])
    source = _open(tmp_path / "source")
    with decoder_warnings():
        for index in range(len(source.items)):
            with suppress(DataError):  # A damaged header can declare a huge size.
                assert isinstance(source.read(index), Decoded | UnreadableImage)
