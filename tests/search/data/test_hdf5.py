import re
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, PreparedSet, inspect_source, prepare
from search.data.hdf5 import headers, stored_images
from search.data.image_reader import ImageReader
from search.data.open_source import open_source
from search.data.source_api import Source, UnreadableImage
from search.errors import DataError

LABELS = np.arange(12) % 2
IMAGES = np.random.default_rng(3).integers(0, 256, (12, 9, 8), dtype=np.uint8)
COLOR = np.random.default_rng(4).integers(0, 256, (12, 9, 8, 3), dtype=np.uint8)
PARTS = (("train", slice(6)), ("val", slice(6, 8)), ("test", slice(8, 12)))
PCAM = "camelyonpatch_level_2_split_{}_{}.{}"


STORAGES: tuple[dict[str, Any], ...] = (
    {},
    {"chunks": (5, 9, 8, 3)},
    {"chunks": (5, 4, 3, 2), "compression": "gzip"},
    {"chunks": (1, 9, 8, 3), "compression": "gzip", "shuffle": True, "fletcher32": True},
    {"chunks": (7, 9, 8, 1), "compression": "lzf", "shuffle": True},
    {"chunks": True, "compression": "gzip", "maxshape": (None, 9, 8, 3)},
)


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the program of the child process here: a child takes a third of a second to start."""
    monkeypatch.setattr("search.data.hdf5.contents._run", headers.main)


def _open(path: Path, **options: Any) -> Source:
    return open_source(DataSettings(source=str(path), image_size=8, **options))


def _prepare(path: Path, cache_dir: Path, **options: Any) -> PreparedSet:
    return prepare(DataSettings(source=str(path), image_size=8, **options), cache_dir)


def _pixels(source: Source) -> list[Any]:
    return [source.read(i) for i in range(len(source.items))]


def _write(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def _by_split(images: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {}
    for split, part in PARTS:
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[part], LABELS[part]
    return arrays


def _write_pcam(folder: Path, slides: Sequence[str] | None = None, **storage: Any) -> Path:
    """Write an imitation of PatchCamelyon; `slides` are the groups of its images."""
    folder.mkdir()
    for split, part in PARTS:
        word = {"val": "valid"}.get(split, split)
        with h5py.File(folder / PCAM.format(word, "x", "h5"), "w") as file:
            file.create_dataset("x", data=COLOR[part], **storage)
        with h5py.File(folder / PCAM.format(word, "y", "h5"), "w") as file:
            file["y"] = LABELS[part].astype(np.uint8).reshape(-1, 1, 1, 1)
        if slides:
            rows = [f"{i},{i * 7},{wsi}" for i, wsi in enumerate(slides[part])]
            text = "\n".join([",coord_x,wsi", *rows])
            (folder / PCAM.format(word, "meta", "csv")).write_text(text)
    return folder


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("X", "Y")])
def test_one_file_is_divided_by_fractions(
    tmp_path: Path, cache_dir: Path, names: tuple[str, str]
) -> None:
    path = _write(tmp_path / "scans.h5", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    prepared = _prepare(path, cache_dir, split=(0.5, 1 / 6, 1 / 3))
    assert prepared.counts == {"train": 6, "val": 2, "test": 4}
    assert prepared.metadata["kind"] == "hdf5"
    assert _open(path).items[3].name == f"{names[0]}[3]"


def test_same_images_as_in_an_npz_are_the_same_set(tmp_path: Path, cache_dir: Path) -> None:
    arrays = _by_split(COLOR)
    np.savez(tmp_path / "set.npz", **arrays)
    expected = _prepare(tmp_path / "set.npz", cache_dir)
    found = _prepare(_write(tmp_path / "set.hdf5", **arrays), cache_dir)
    several = _prepare(_write_pcam(tmp_path / "pcam"), cache_dir)
    assert expected.fingerprint == found.fingerprint == several.fingerprint
    assert expected.path != found.path


def test_slides_of_patch_camelyon_are_groups_in_its_own_splits(
    tmp_path: Path, cache_dir: Path
) -> None:
    slides = [f"{split}{i % 2}" for split, part in PARTS for i in range(len(LABELS[part]))]
    folder = _write_pcam(tmp_path / "pcam", slides, chunks=(2, 5, 8, 3), compression="gzip")
    np.savez(tmp_path / "set.npz", **_by_split(COLOR))
    prepared = _prepare(folder, cache_dir)
    assert prepared.fingerprint == _prepare(tmp_path / "set.npz", cache_dir).fingerprint
    assert prepared.counts == {"train": 6, "val": 2, "test": 4}
    assert prepared.metadata["n_groups"] == 6
    assert prepared.groups("train") == [2, 3, 2, 3, 2, 3]
    assert prepared.image_shape == (8, 8, 3)
    assert "groups from the column wsi" in prepared.metadata["warnings"][0]


def test_slide_in_two_splits_is_refused(tmp_path: Path, cache_dir: Path) -> None:
    folder = _write_pcam(tmp_path / "pcam", ["one", "two"] * 6)
    with pytest.raises(
        DataError, match=r"2 of 2 groups are in several splits:\n  \S+\[0\] \(test\) and "
    ):
        _prepare(folder, cache_dir)
    assert _prepare(folder, cache_dir, group_column="none").groups("train") is None
    by_place = _open(folder, group_column="coord_x")
    assert [it.group for it in by_place.items[:3]] == ["0", "7", "14"]


def test_group_column_needs_a_table(tmp_path: Path) -> None:
    for path in (_write(tmp_path / "a.h5", x=IMAGES, y=LABELS), _write_pcam(tmp_path / "pcam")):
        with pytest.raises(DataError, match=r"--group-column cannot be used with .*no table"):
            _ = _open(path, group_column="wsi").classes


def test_table_has_a_row_for_each_image(tmp_path: Path) -> None:
    folder = _write_pcam(tmp_path / "pcam", [*"aaaaaa", *"bb", *"cccc"])
    table = folder / PCAM.format("valid", "meta", "csv")
    table.write_text(table.read_text() + "\n3,3,b")
    with pytest.raises(DataError, match=r"a row for each of the 2 images .* Received: 3 rows"):
        _ = _open(folder).items


def test_any_file_of_images_names_its_set(tmp_path: Path) -> None:
    folder = _write_pcam(tmp_path / "pcam")
    _write(folder / "other_train_x.h5", x=IMAGES)
    _write(folder / "other_train_y.h5", y=LABELS)
    source = _open(folder / PCAM.format("train", "x", "h5"))
    assert [it.split for it in source.items] == ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    assert source.items[6].name == f"{PCAM.format('valid', 'x', 'h5')}[0]"
    assert len(_open(folder / "other_train_y.h5").items) == 12
    with pytest.raises(DataError, match=r"one file of images for each split .* Name one of them"):
        _open(folder)


def test_packed_and_missing_files_are_named(tmp_path: Path) -> None:
    folder = _write_pcam(tmp_path / "pcam")
    labels = folder / PCAM.format("test", "y", "h5")
    labels.rename(f"{labels}.gz")
    for path in (folder, Path(f"{labels}.gz")):
        with pytest.raises(DataError, match=r"test_y.h5.gz is packed. Unpack it first: gunzip"):
            _open(path)
    Path(f"{labels}.gz").unlink()
    with pytest.raises(DataError, match=r"in .*test_y.h5 beside it, which is missing"):
        _open(folder)
    for path in folder.iterdir():
        path.rename(f"{path}.gz")
    with pytest.raises(DataError, match=r"test_x.h5.gz is packed"):
        _open(folder)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">u2", "<f4", "?"])
def test_pixels_are_those_that_were_saved(tmp_path: Path, dtype: str) -> None:
    images = (COLOR > 99) if dtype == "?" else (COLOR.astype(dtype) * 3).astype(dtype)
    for storage in STORAGES:
        path = tmp_path / "scans.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=images, **storage)
            file["y"] = LABELS
        found = np.stack([it.pixels for it in _pixels(_open(path))])
        np.testing.assert_array_equal(found, images * np.uint8(255) if dtype == "?" else images)
        assert found.dtype.isnative


@pytest.mark.parametrize("options", [{"userblock_size": 512}, {"libver": "latest"}])
def test_places_in_files_of_other_forms_are_found(tmp_path: Path, options: Any) -> None:
    path = tmp_path / "scans.h5"
    with h5py.File(path, "w", **options) as file:
        file["train_images"], file["train_labels"] = IMAGES, LABELS
        file.create_dataset("val_images", data=IMAGES, chunks=(5, 9, 8), compression="gzip")
        file["val_labels"] = LABELS
    found = np.stack([it.pixels for it in _pixels(_open(path))])
    np.testing.assert_array_equal(found, np.concatenate([IMAGES, IMAGES]))


def test_chunk_of_many_images_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scans.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=IMAGES, chunks=(6, 9, 8), compression="gzip")
        file["y"] = LABELS
    source = _open(path)
    n_read: list[int] = []
    whole = stored_images._read_bytes
    monkeypatch.setattr(
        "search.data.hdf5.stored_images._read_bytes",
        lambda path, begin, n: n_read.append(n) or whole(path, begin, n),
    )
    _pixels(source)
    assert len(n_read) == 2


def test_images_are_read_in_threads_and_processes(tmp_path: Path) -> None:
    images = np.random.default_rng(5).integers(0, 256, (300, 8, 8), dtype=np.uint8)
    path = tmp_path / "scans.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=images, chunks=(7, 8, 8), compression="gzip")
        file["y"] = np.arange(300) % 2
    source, found = _open(path), {}

    def read(start: int) -> None:
        found.update({i: source.read(i).pixels for i in range(start, 300, 4)})

    threads = [Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.stack([found[i] for i in range(300)]), images)
    reader = ImageReader(source, DataSettings(source=str(path)), None, n_expected=300)
    infos = reader.inspect(range(300))
    assert len({info.digest for info in infos}) == 300


def test_set_is_not_read_into_memory(tmp_path: Path, cache_dir: Path) -> None:
    path = tmp_path / "large.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("x", (400, 256, 256), np.uint8)
        for i in range(400):
            images[i] = rng.integers(0, 256, (256, 256))
        file["y"] = np.arange(400) % 2
    tracemalloc.start()
    try:
        prepared = _prepare(path, cache_dir, max_images=40)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(prepared.counts.values()) == 40
    assert peak < 400 * 256 * 256 / 4


def test_texts_are_labels(tmp_path: Path) -> None:
    for name, texts in (
        ("fixed", np.array([b"no", b"yes"])[LABELS]),
        ("free", [["nein", "mélanome"][it] for it in LABELS]),
    ):
        source = _open(_write(tmp_path / f"{name}.h5", x=IMAGES, y=texts))
        expected = {"fixed": ("no", "yes"), "free": ("mélanome", "nein")}[name]
        assert source.classes == expected


def test_cached_set_opens_no_file(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "a.h5", x=IMAGES, y=LABELS)
    first = _prepare(path, cache_dir)
    monkeypatch.setattr("search.data.hdf5.source.read_contents", None)
    assert _prepare(path, cache_dir).path == first.path


@pytest.mark.parametrize("changed", ["x", "y", "meta"])
def test_changed_file_is_another_identity(tmp_path: Path, changed: str) -> None:
    folder = _write_pcam(tmp_path / "pcam", ["a"] * 12)
    before = _open(folder).identity()
    extension = "csv" if changed == "meta" else "h5"
    with (folder / PCAM.format("test", changed, extension)).open("ab") as file:
        file.write(b"\n")
    assert _open(folder).identity() != before


def test_settings_of_folders_and_manifests_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5", x=IMAGES, y=LABELS)
    for options in ({"exclude": ("a",)}, {"group_from": "a"}, {"label_column": "y"}):
        with pytest.raises(DataError, match="cannot be used with"):
            _open(path, **options)


def test_inspect_counts_images_of_each_split(tmp_path: Path) -> None:
    slides = [*"aaaaaa", *"bb", *"cccc"]
    folder = _write_pcam(tmp_path / "pcam", slides)
    summary = inspect_source(DataSettings(source=str(folder), image_size=8))
    assert summary.kind == "hdf5"
    assert summary.counts["train"] == {"0": 3, "1": 3}
    assert (summary.n_groups, summary.n_largest_group) == (3, 6)


def _refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        _ = _open(path).classes
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def _link(file: Any, path: Path) -> None:
    _write(path.with_name("other.h5"), x=IMAGES)
    file["x"] = h5py.ExternalLink(str(path.with_name("other.h5")), "x")


def _soft_link(file: Any, path: Path) -> None:
    file["real"] = IMAGES
    file["x"] = h5py.SoftLink("/real")


def _virtual(file: Any, path: Path) -> None:
    layout = h5py.VirtualLayout((12, 9, 8), "u1")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (12, 9, 8))
    file.create_virtual_dataset("x", layout)


def _external(file: Any, path: Path) -> None:
    path.with_name("raw").write_bytes(bytes(12 * 72))
    file.create_dataset("x", (12, 9, 8), "u1", external=[(path.with_name("raw"), 0, 12 * 72)])


def _unwritten(file: Any, path: Path) -> None:
    file.create_dataset("x", (10**12, 9, 8), "u1")


def _huge(file: Any, path: Path) -> None:
    file.create_dataset("x", (10**6, 512, 512), "u1", chunks=(1, 512, 512))


def _large_chunks(file: Any, path: Path) -> None:
    file.create_dataset("x", (4, 8192, 8192), "u1", chunks=(4, 8192, 8192))[0, 0, 0] = 1


def _filter(file: Any, path: Path) -> None:
    file.create_dataset("x", data=IMAGES.astype("i4"), chunks=(1, 9, 8), scaleoffset=8)


def _reduced(file: Any, path: Path) -> None:
    kind = h5py.h5t.NATIVE_UINT16.copy()
    kind.set_precision(12)
    space = h5py.h5s.create_simple((12, 9, 8))
    values = h5py.Dataset(h5py.h5d.create(file.id, b"x", kind, space))
    values[:] = IMAGES


def _lengths(file: Any, path: Path) -> None:
    file.create_dataset("x", (2,), h5py.vlen_dtype(float))[:] = [np.zeros(3), np.zeros(2)]


def _values(make: Callable[[Any], Any]) -> Callable[[Any, Path], None]:
    return lambda file, path: file.__setitem__("x", make(file))


REFUSED: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "external link": (_link, r"'x' in .* is a link, and links are not followed"),
    "soft link": (_soft_link, r"'x' in .* is a link, and links are not followed"),
    "virtual": (_virtual, r"'x' in .* has its values in other files"),
    "external storage": (_external, r"'x' in .* has its values in other files"),
    "nothing stored": (_unwritten, r"at most|was not wholly written"),
    "chunks of nothing": (_huge, r"unpacks to 250,000 MiB from .* at most 100 times its size"),
    "large chunks": (_large_chunks, r"h5repack -l x:CHUNK=1x8192x8192 OLD NEW|100 times its size"),
    "filter": (_filter, r"is packed by the filter 'scaleoffset'. Expected gzip"),
    "precision": (_reduced, r"holds numbers in an unusual form"),
    "group": (lambda file, _: file.create_group("x"), r"'x' in .* is a group, not an array"),
    "texts": (_values(lambda file: ["a", "b"]), r"holds texts, not numbers"),
    "records": (
        _values(lambda file: np.zeros(12, [("a", "u1"), ("b", "f4")])),
        r"holds records, not numbers",
    ),
    "references": (
        _values(lambda file: np.array([file.ref] * 3, h5py.ref_dtype)),
        r"holds references, not numbers",
    ),
    "lengths": (_lengths, r"holds arrays of different lengths"),
    "empty": (_values(lambda file: h5py.Empty("u1")), r"'x' in .* is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_datasets_that_lead_out_or_are_no_images_are_refused(tmp_path: Path, name: str) -> None:
    write, message = REFUSED[name]
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        write(file, path)
        file["y"] = LABELS
    assert re.search(message, _refusal(path))


def test_labels_that_were_never_written_are_refused(tmp_path: Path) -> None:
    for name, options in (("plain", {}), ("chunks", {"chunks": (3,)})):
        path = _write(tmp_path / f"{name}.h5", x=IMAGES)
        with h5py.File(path, "a") as file:
            labels = file.create_dataset("y", (12,), "u1", **options)
            if options:
                labels[:5] = 1
        assert "'y' in" in _refusal(path)
        assert "was not wholly written" in _refusal(path)


def test_image_that_was_never_written_is_broken(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5", y=LABELS)
    with h5py.File(path, "a") as file:
        images = file.create_dataset("x", (12, 9, 8), "u1", chunks=(1, 9, 8))
        images[1:] = IMAGES[1:]
    source = _open(path)
    assert source.read(0) == UnreadableImage("it was never written")
    np.testing.assert_array_equal(source.read(1).pixels, IMAGES[1])


def test_chunk_that_unpacks_to_more_than_its_size_is_broken(tmp_path: Path) -> None:
    """The HDF5 library itself unpacks all of it."""
    import zlib

    path = _write(tmp_path / "a.h5", y=LABELS)
    bomb = zlib.compress(bytes(2**20))
    with h5py.File(path, "a") as file:
        images = file.create_dataset(
            "x", (12, 40, 40), "u1", chunks=(1, 40, 40), compression="gzip"
        )
        images.id.write_direct_chunk((0, 0, 0), bomb)
        images[1:] = np.zeros((11, 40, 40), np.uint8)
    assert "unpacks to more than its chunk" in _open(path).read(0).reason


@pytest.mark.parametrize("packing", ["gzip", "lzf"])
def test_damaged_chunk_is_a_broken_image(tmp_path: Path, packing: str) -> None:
    path, images = tmp_path / "a.h5", np.zeros((12, 40, 40), np.uint8)
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("x", data=images, chunks=(1, 40, 40), compression=packing)
        file["y"] = LABELS
        place = stored.id.get_chunk_info(4)
    good = path.read_bytes()
    n_broken = 0
    reason = "its (gzip|LZF) data (is damaged|unpacks to more)|its chunk is not as long"
    for _ in range(100):
        damaged = bytearray(good)
        for at in rng.integers(0, place.size, 3):
            damaged[place.byte_offset + at] = rng.integers(256)
        path.write_bytes(damaged)
        found = _pixels(_open(path))
        if isinstance(found[4], UnreadableImage):
            n_broken += 1
            assert re.match(reason, found[4].reason)
        np.testing.assert_array_equal(found[5].pixels, images[5])
    assert n_broken > 20


def test_other_files_are_refused_in_a_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5", x=IMAGES, y=LABELS)
    content = path.read_bytes()
    for damaged in (b"", b"GIF89a", content[: len(content) // 2], b"\x89HDF\r\n\x1a\n" * 20):
        path.write_bytes(damaged)
        assert _refusal(path).startswith(f"Cannot read {path} as HDF5: it ")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda it: it[:3000],
            r"it is truncated, since 3,000 of \d,\d{3} bytes are there. Copy it",
        ),
        (lambda _: b"GIF89a", "it does not begin as HDF5 files do."),
        (lambda it: it[:96] + bytes(1000) + it[1096:], "it is damaged. Save it again."),
    ],
    ids=["truncated", "other", "damaged"],
)
def test_damaged_file_is_refused_in_plain_words(
    tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    path = _write(tmp_path / "a.h5", x=np.concatenate([IMAGES] * 4), y=np.arange(48) % 2)
    path.write_bytes(damage(path.read_bytes()))
    found = _refusal(path)
    assert re.search(f"as HDF5: {reason}", found)
    assert not found.endswith("..")


def test_what_is_in_a_file_of_another_layout_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "patients.h5"
    with h5py.File(path, "w") as file:
        for patient in range(20):
            file[f"patient{patient:02}/t1"] = IMAGES[0]
    found = _refusal(path)
    assert "Expected datasets 'train_images'" in found
    assert "Found: the group 'patient00', 'patient00/t1' uint8 (9, 8), the group" in found
    assert found.partition("Found")[2].count("patient") == 10
    assert found.endswith(", and more.")
    only_images = _refusal(_write(tmp_path / "only.h5", images=IMAGES))
    assert only_images.endswith("Found: 'images' uint8 (12, 9, 8).")


def test_weights_of_a_network_are_no_source(tmp_path: Path) -> None:
    path = tmp_path / "best.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((3, 3))
    assert "which holds the weights of a network" in _refusal(path)


def test_text_file_beside_a_file_names_its_classes(tmp_path: Path) -> None:
    path = _write(tmp_path / "scans.h5", images=IMAGES, labels=LABELS)
    before = _open(path).identity()
    names = [f"kind {label}" for label in range(int(LABELS.max()) + 1)]
    (tmp_path / "scans.classes.txt").write_text("\n".join(names))
    assert _open(path).classes == tuple(names[label] for label in np.unique(LABELS))
    assert _open(path).identity() != before


def test_folders_of_classes_may_have_hdf5_files_beside_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(IMAGES[0]).save(tmp_path / name / "x.png")
    _write(tmp_path / "notes_x.h5", x=IMAGES)
    (tmp_path / "weights.h5.gz").touch()
    assert _open(tmp_path).kind == "folder"
