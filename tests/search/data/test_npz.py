import copy
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, PreparedSet, prepare
from search.data.npz import load_npz
from search.data.open_source import open_source
from search.errors import DataError

MakeNpz = Callable[..., Path]

LABELS = np.arange(12) % 2
IMAGES = np.random.default_rng(3).integers(0, 256, (12, 9, 8), dtype=np.uint8)


def _medmnist(**changes: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {}
    for split, part in (("train", slice(6)), ("val", slice(6, 8)), ("test", slice(8, 12))):
        arrays[f"{split}_images"] = IMAGES[part]
        arrays[f"{split}_labels"] = LABELS[part, None].astype(np.uint8)
    return {**arrays, **changes}


def _prepare(path: Path, cache_dir: Path, **options: object) -> PreparedSet:
    return prepare(DataSettings(source=str(path), image_size=8, **options), cache_dir)


def test_medmnist_layout_keeps_its_own_splits(make_npz: MakeNpz, cache_dir: Path) -> None:
    prepared = _prepare(make_npz(**_medmnist()), cache_dir)
    assert prepared.counts == {"train": 6, "val": 2, "test": 4}
    assert prepared.classes == ("0", "1")
    np.testing.assert_array_equal(prepared.labels("test"), LABELS[8:])


def test_images_and_labels_are_divided_by_fractions(make_npz: MakeNpz, cache_dir: Path) -> None:
    path = make_npz(images=IMAGES, labels=LABELS)
    prepared = _prepare(path, cache_dir, split=(0.5, 1 / 6, 1 / 3))
    assert prepared.counts == {"train": 6, "val": 2, "test": 4}


@pytest.mark.parametrize("missing", ["val", "test"])
def test_missing_split_is_taken_from_train(
    make_npz: MakeNpz, cache_dir: Path, missing: str
) -> None:
    arrays = _medmnist()
    del arrays[f"{missing}_images"], arrays[f"{missing}_labels"]
    kept = {"val": "test", "test": "val"}[missing]
    prepared = _prepare(make_npz(**arrays), cache_dir)
    assert prepared.counts == {"train": 4, missing: 2, kept: len(arrays[f"{kept}_labels"])}
    np.testing.assert_array_equal(np.unique(prepared.labels(missing)), [0, 1])


@pytest.mark.parametrize("last_axis", [(), (1,)])
def test_grey_may_have_a_last_axis(last_axis: tuple[int, ...], make_npz: MakeNpz) -> None:
    path = make_npz(images=IMAGES.reshape(*IMAGES.shape, *last_axis), labels=LABELS)
    np.testing.assert_array_equal(load_npz(path).parts[""][0], IMAGES)


def test_rgb_is_kept(make_npz: MakeNpz, cache_dir: Path) -> None:
    color = np.stack([IMAGES, IMAGES[:, ::-1], IMAGES[:, :, ::-1]], axis=-1)
    assert _prepare(make_npz(images=color, labels=LABELS), cache_dir).image_shape == (8, 8, 3)


def test_missing_keys_are_named_with_those_found(make_npz: MakeNpz) -> None:
    path = make_npz(x_train=IMAGES, y_train=LABELS)
    with pytest.raises(DataError, match=r"'images' and 'labels' in .*Found: 'x_train', 'y_train'"):
        load_npz(path)


def test_images_without_labels_are_refused(make_npz: MakeNpz) -> None:
    with pytest.raises(DataError, match=r"'train_labels'.*Found: 'train_images'\."):
        load_npz(make_npz(train_images=IMAGES))


def test_pickled_objects_are_never_loaded(make_npz: MakeNpz, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return (Path.touch, (tmp_path / "ran",))

    objects = np.empty(12, object)
    objects[:] = [Attack() for _ in range(12)]
    path = make_npz(images=objects, labels=LABELS)
    with pytest.raises(DataError, match=r"images.npy in .* holds pickled objects"):
        load_npz(path)
    assert not (tmp_path / "ran").exists()


def test_counts_of_images_and_labels_must_agree(make_npz: MakeNpz) -> None:
    path = make_npz(**_medmnist(val_labels=LABELS[:3]))
    with pytest.raises(DataError, match=r"2 in 'val_images' and 3 in 'val_labels'"):
        load_npz(path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS / 1.0, r"a whole number or a text for each image.*Received: float64"),
        (np.eye(2, dtype=int)[LABELS], r"Received: int64 of shape \(12, 2\)"),
        (np.array(["a", ""])[LABELS], r"of 1 to 200 characters .*Received: ''"),
        (np.array(["a", "b" * 201])[LABELS], r"of 1 to 200 characters"),
        (np.array(["a", "\ud800"])[LABELS], r"labels of Unicode text"),
        (np.array([b"a", b"\xff"])[LABELS], r"labels of Unicode text"),
    ],
)
def test_labels_that_are_no_names_are_refused(
    make_npz: MakeNpz, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_npz(make_npz(images=IMAGES, labels=labels))


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ([5, 10], ("5", "10")),
        ([-1, 3], ("-1", "3")),
        (["nevus", "mélanome"], ("mélanome", "nevus")),
        ([b"no", b"yes"], ("no", "yes")),
    ],
    ids=["from 5", "negative", "text", "bytes"],
)
def test_classes_are_named_by_their_labels(
    make_npz: MakeNpz, names: list[object], classes: tuple[str, ...]
) -> None:
    arrays = load_npz(make_npz(images=IMAGES, labels=np.array(names)[LABELS]))
    assert arrays.classes == classes
    found = [arrays.classes[position] for position in arrays.parts[""][1]]
    assert found == [
        n.decode() if isinstance(n, bytes) else str(n) for n in np.array(names)[LABELS].tolist()
    ]


def test_classes_are_those_of_all_splits(make_npz: MakeNpz) -> None:
    texts = np.array(["b", "a"])[LABELS[:6]]
    arrays = load_npz(
        make_npz(
            **_medmnist(train_labels=texts, val_labels=np.array(["c", "a"]), test_labels=texts[:4])
        )
    )
    assert arrays.classes == ("a", "b", "c")
    assert {name: part[1].tolist() for name, part in arrays.parts.items()} == {
        "train": [1, 0] * 3,
        "val": [2, 0],
        "test": [1, 0] * 2,
    }
    with pytest.raises(DataError, match="labels of one kind"):
        load_npz(make_npz(**_medmnist(train_labels=texts)))


def test_too_many_classes_are_refused(make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.data.labeled_arrays.MAX_CLASSES", 11)
    with pytest.raises(DataError, match=r"at most 11 classes .* Received: 12"):
        load_npz(make_npz(images=IMAGES, labels=np.arange(12) * 3))


@pytest.mark.parametrize(
    "images",
    [IMAGES[:, 0], IMAGES[..., None, None], IMAGES[..., None].repeat(4, axis=3), IMAGES[:, :1]],
)
def test_arrays_that_are_not_images_are_refused(make_npz: MakeNpz, images: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"shape \(n, height, width\).*Received: uint8 of shape"):
        load_npz(make_npz(images=images, labels=LABELS))


def test_one_class_is_refused(make_npz: MakeNpz, cache_dir: Path) -> None:
    with pytest.raises(DataError, match=r"at least 2 classes in .*Received: 1, '0'"):
        _prepare(make_npz(images=IMAGES, labels=LABELS * 0), cache_dir)


def test_no_image_is_refused(make_npz: MakeNpz, cache_dir: Path) -> None:
    with pytest.raises(DataError, match=r"holds no images"):
        _prepare(make_npz(images=IMAGES[:0], labels=LABELS[:0]), cache_dir)


def test_split_without_a_class_is_refused(make_npz: MakeNpz, cache_dir: Path) -> None:
    path = make_npz(**_medmnist(val_labels=np.zeros(2, int)))
    with pytest.raises(DataError, match=r"every class in every split: none of class '1' in 'val'"):
        _prepare(path, cache_dir)


def test_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(64 * 2**20))
    with pytest.raises(DataError, match=r"unpacks to 64 MiB from 0.1 MiB: expected at most"):
        load_npz(path)


def test_members_that_share_their_bytes_are_refused_unread(
    make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together they seem to be packed in more bytes than the file has."""
    path = make_npz(images=np.zeros((12, 99, 99), np.uint8), labels=LABELS)
    monkeypatch.setattr("search.data.npz.ALWAYS_ALLOWED_BYTES", 0)
    monkeypatch.setattr("search.data.npz.MAX_RATIO", 600)
    load_npz(path)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(100):
            twin = copy.copy(archive.getinfo("images.npy"))
            twin.filename = f"more{number}.npy"
            archive.filelist.append(twin)
        archive.writestr("last.npy", b"")
    packed = sum(info.compress_size for info in zipfile.ZipFile(path).infolist())
    assert 600 * packed > 101 * 12 * 99 * 99
    with pytest.raises(DataError, match="times its size"):
        load_npz(path)


def test_small_arrays_may_be_packed_to_any_size(make_npz: MakeNpz) -> None:
    path = make_npz(images=np.zeros((6, 600, 600), np.uint8), labels=LABELS[:6])
    assert path.stat().st_size * 100 < 6 * 600 * 600
    assert len(load_npz(path).parts[""][0]) == 6


def test_too_many_images_are_refused(make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.data.labeled_arrays.MAX_IMAGES", 11)
    with pytest.raises(DataError, match=r"at most 11 images in 'images' .* Received: 12"):
        load_npz(make_npz(images=IMAGES, labels=LABELS))


def test_size_over_the_limit_is_refused_unread(
    make_npz: MakeNpz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.npz.MAX_BYTES", 500)
    with pytest.raises(DataError, match="unpacks to"):
        load_npz(make_npz(images=IMAGES, labels=LABELS))


def test_header_that_declares_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 9, 8)}"
    text += b" " * (117 - len(text)) + b"\n"
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header + len(text).to_bytes(2, "little") + text + b"abc")
        archive.writestr("labels.npy", b"")
    with pytest.raises(DataError, match=r"Cannot read .*images.npy is not as long as its shape"):
        load_npz(path)


@pytest.mark.parametrize(
    "header",
    ["{'descr': (), 'fortran_order': False, 'shape': (1, 8, 8)}", "{'descr': '|u1', 'shape': ((((",
     "{'descr': '|u1', 'fortran_order': False, 'shape': ((1, 2), 3)}", "[" * 500, "", "lambda: 0"],
)  # fmt: skip
def test_header_that_numpy_cannot_read_is_refused(tmp_path: Path, header: str) -> None:
    text = header.encode() + b"\n"
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w") as archive:
        magic = np.lib.format.magic(1, 0)
        archive.writestr("images.npy", magic + len(text).to_bytes(2, "little") + text)
        archive.writestr("labels.npy", b"")
    with pytest.raises(DataError, match=r"Cannot read .* as an .npz: a header is damaged"):
        load_npz(path)


def test_truncated_or_foreign_file_is_refused(make_npz: MakeNpz) -> None:
    path = make_npz(images=IMAGES, labels=LABELS)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"PK\x03\x04 nonsense", b"GIF89a"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"Cannot read .*source.npz as an .npz"):
            load_npz(path)


def test_damaged_bytes_never_escape_as_another_error(make_npz: MakeNpz) -> None:
    path = make_npz(images=IMAGES, labels=LABELS)
    content = path.read_bytes()
    rng = np.random.default_rng(5)
    n_refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), 3):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load_npz(path)
        except DataError:
            n_refused += 1
    assert n_refused > 300


@pytest.mark.parametrize("types", [(np.float32, np.uint8), (np.uint8, np.float64)])
def test_splits_of_different_types_are_refused(tmp_path: Path, types: tuple[type, type]) -> None:
    """One range serves all splits: a part of another type would be black or white."""
    arrays = {}
    for split, kind in zip(("train", "val"), types, strict=True):
        arrays[f"{split}_images"] = np.ones((4, 8, 8), kind)
        arrays[f"{split}_labels"] = np.arange(4) % 2
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match="images of one type in all splits"):
        _ = open_source(DataSettings(source=str(tmp_path / "a.npz"))).classes


def test_unsigned_and_signed_labels_are_the_same_classes(tmp_path: Path) -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    np.savez(
        tmp_path / "a.npz",
        train_images=images,
        train_labels=(np.arange(4) % 2).astype(np.uint64),
        val_images=images,
        val_labels=np.arange(4) % 2,
    )
    assert open_source(DataSettings(source=str(tmp_path / "a.npz"))).classes == ("0", "1")
