"""Groups, such as patients: found in names, and never on both sides of a split."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, PreparedSet, inspect_source, prepare
from search.data.grouped_split import choose_groups, join_groups
from search.data.groups import find_groups, propose_pattern
from search.data.leaks import LeakError
from search.errors import DataError

MakeFolder = Callable[..., Path]


@pytest.mark.parametrize(
    ("pattern", "name", "group"),
    [
        (r"(person\d+)", "PNEU/person123_bacteria_2.jpeg", "person123"),
        (r"SOB_._._?[A-Z]*-(\d+-\w+)-\d+", "benign/SOB_B_A-14-22549AB-100-001.png", "14-22549AB"),
        (r"^[^/]+/([^/]+)/", "AD/p07/T1/3.png", "p07"),
        (r"(p\d+)/(left|right)", "a/p07/left/3.png", "p07/left"),
        (r"p\d+", "a/p07/3.png", "p07"),
    ],
)
def test_group_is_what_the_brackets_match(pattern: str, name: str, group: str) -> None:
    assert find_groups([name], pattern) == [group]


def test_pattern_that_matches_half_of_the_names_is_refused() -> None:
    names = [f"a/{'p' if i % 2 else 'x'}{i}.png" for i in range(10)]
    with pytest.raises(DataError, match=r"matches 5 of 10 names, but not a/x0.png, a/x2.png, a/"):
        find_groups(names, r"(p\d+)")


@pytest.mark.parametrize(
    ("names", "n_groups"),
    [
        ([f"a/patient{i // 4}_{i}.png" for i in range(40)], 10),
        ([f"a/x{i // 4}/{i}.png" for i in range(40)], 10),
        ([f"a/SOB_B_A-14-{i // 4}AB-100-{i:03}.png" for i in range(40)], 10),
        ([f"a/{i:03}.png" for i in range(40)], None),  # Each its own.
        ([f"a/left/{i}.png" for i in range(40)], None),  # All are one.
        ([f"train/{'ab'[i % 2]}/{i}.png" for i in range(40)], None),  # Classes.
        ([f"a/{'0123456789abcdef' * 4}{i}.png" for i in range(40)], None),
        ([f"a/Patient{i // 4:02}_{i}.png" for i in range(40)], 10),
        ([f"a/image ({i}).png" for i in range(40)], None),
        ([f"a/x{i // 4}/T{i % 2}/{i}.png" for i in range(40)], 10),  # Sequences of patients.
        (
            [
                f"b/{'ab'[i % 2]}/SOB_A_14-{i // 8}/{p}X/SOB_A-14-{i // 8}-{p}-{i:03}.png"
                for i in range(80)
                for p in (40, 100, 200, 400)
            ],
            10,
        ),
    ],
)
def test_likely_pattern_is_proposed(names: list[str], n_groups: int | None) -> None:
    found = propose_pattern(names, n_classes=2)
    assert (found and found.n_groups) == n_groups
    if found:
        assert len(set(find_groups(names, found.pattern))) == n_groups


def test_pattern_that_matches_nothing_in_brackets_is_refused() -> None:
    for pattern in ("([0-9]*)", r"(?:p([0-9]+))?(?:q([0-9]+))?"):
        with pytest.raises(DataError, match=r"matches 0 of 2 names, but not a/x\.png, b/y\.png"):
            find_groups(["a/x.png", "b/y.png"], pattern)


def test_items_that_share_a_key_are_joined() -> None:
    keys = [["a"], ["b", 1], ["c"], ["b"], [1, "c"], []]
    assert sorted(map(sorted, join_groups(keys))) == [[0], [1, 2, 3, 4], [5]]


@pytest.mark.parametrize("seed", range(5))
def test_fraction_of_each_class_is_about_right(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 12, (60, 3))
    chosen = choose_groups(counts, 0.2, rng)
    shares = counts[chosen].sum(axis=0) / counts.sum(axis=0)
    assert np.abs(shares - 0.2).max() < 0.04


def test_every_class_is_on_both_sides_if_it_can_be() -> None:
    counts = np.array([[10, 0], [10, 0], [10, 0], [0, 50], [0, 1], [0, 49]])
    chosen = choose_groups(counts, 0.1, np.random.default_rng(0))
    held = counts[chosen].sum(axis=0)
    assert (held > 0).all()
    assert (held < counts.sum(axis=0)).all()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        counts = rng.integers(0, 4, (12, 4))
        if ((counts > 0).sum(axis=0) > 2).all():
            held = counts[choose_groups(counts, 0.15, rng)].sum(axis=0)
            assert (held > 0).all()
            assert (held < counts.sum(axis=0)).all()
    assert choose_groups(np.array([[5, 0], [0, 5]]), 0.5, np.random.default_rng(0)) == []


def patients(n: int, images: int = 3, split: str = "") -> dict[str, int]:
    return {f"{split}{'ab'[i % 2]}/{split.strip('/')}patient{i}": images + i % 3 for i in range(n)}


def prepare_patients(root: Path, cache_dir: Path, **options: object) -> PreparedSet:
    settings = {"image_size": 8, "group_from": r"(patient\d+)", **options}
    return prepare(DataSettings(source=str(root), **settings), cache_dir)


def groups_of(data: PreparedSet) -> dict[str, set[int]]:
    found = {}
    for split in data.counts:
        groups = data.groups(split)
        assert groups is not None
        assert len(groups) == data.counts[split]
        found[split] = set(groups)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_no_patient_is_in_two_splits(make_folder: MakeFolder, cache_dir: Path, seed: int) -> None:
    data = prepare_patients(make_folder(patients(24)), cache_dir, seed=seed)
    groups = groups_of(data)
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 24
    assert data.metadata["n_groups"] == 24
    assert sum(data.counts.values()) == 96
    assert 10 <= data.counts["val"] <= 20
    assert 10 <= data.counts["test"] <= 20


def test_equal_images_of_two_patients_keep_both_in_one_split(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    root = make_folder(patients(24))
    for first, other in ((0, 4), (4, 8), (10, 14)):
        image = root / "a" / f"patient{first}" / "000.png"
        (root / "a" / f"patient{other}" / f"copy{first}.png").write_bytes(image.read_bytes())
    data = prepare_patients(root, cache_dir)
    groups = groups_of(data)
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 24
    images = {split: {it.tobytes() for it in data.images(split)} for split in data.counts}
    assert not images["train"] & images["test"]
    assert not images["train"] & images["val"]
    assert not images["val"] & images["test"]


def test_images_that_are_left_out_leave_patients_in(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    data = prepare_patients(make_folder(patients(20, images=10)), cache_dir, max_images=24)
    assert len(set.union(*groups_of(data).values())) == 20


def test_patient_on_both_sides_of_given_splits_is_refused(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    root = make_folder(patients(8, split="train/") | {"test/a/trainpatient0": 3, "test/b/x1": 3})
    with pytest.raises(
        LeakError,
        match=r"1 of 9 groups are in several splits:\n"
        r"  test/a/\S+ \(test\) and train/a/\S+ \(train\)\n--fix-leaks keeps",
    ):
        prepare_patients(root, cache_dir, group_from=r"(trainpatient\d+|x\d)")


def test_patient_on_both_sides_of_given_splits_is_allowed_or_left_out_of_training(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    root = make_folder(patients(8, split="train/") | {"test/a/trainpatient0": 3, "test/b/x1": 3})
    found = {
        key: prepare_patients(root, cache_dir, group_from=r"(trainpatient\d+|x\d)", **{key: True})
        for key in ("allow_leaks", "fix_leaks")
    }
    of_patient = len(list((root / "train" / "a" / "trainpatient0").iterdir()))
    counts = {key: sum(it.counts.values()) for key, it in found.items()}
    assert counts["allow_leaks"] - counts["fix_leaks"] == of_patient
    assert {key: it.metadata["n_leaks"] for key, it in found.items()} == {
        "allow_leaks": 1,
        "fix_leaks": 0,
    }
    for key, note in (
        ("allow_leaks", "1 of 9 groups are in several splits: results are too good"),
        ("fix_leaks", f"{of_patient} images were left out by --fix-leaks: 1 of 9 groups are"),
    ):
        assert any(it.startswith(note) for it in found[key].metadata["warnings"])


def test_images_of_other_classes_replace_those_that_are_left_out(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    splits = {"train": 12, "val": 6, "test": 6}
    images = {f"{split}/{it}/{split}{it}1": n for split, n in splits.items() for it in "ab"}
    images |= {"train/a/train1": 40, "val/a/train1": 4}
    data = prepare_patients(
        make_folder(images),
        cache_dir,
        group_from=r"([a-z]+\d)/",
        fix_leaks=True,
        max_images=24,
    )
    assert data.counts == {"train": 11, "val": 7, "test": 6}


def test_class_of_one_patient_is_refused(make_folder: MakeFolder, cache_dir: Path) -> None:
    root = make_folder({**patients(8), "c/patient99": 9})
    message = r"Class 'c' has no image for the split 'val': its 9 images are of 1 group, which"
    with pytest.raises(DataError, match=message):
        prepare_patients(root, cache_dir)


def test_sets_without_groups_have_none(make_folder: MakeFolder, cache_dir: Path) -> None:
    data = prepare(
        DataSettings(source=str(make_folder({"a": 8, "b": 8})), image_size=8), cache_dir
    )
    assert data.groups("train") is None
    assert data.metadata["n_groups"] == 0


def test_inspect_says_whether_there_are_groups(make_folder: MakeFolder) -> None:
    root = make_folder(patients(12))
    found = inspect_source(DataSettings(source=str(root)))
    assert found.n_groups == 0
    (note,) = (it for it in found.warnings if "groups" in it)
    assert "finds 12, the largest of 5 images: if those are patients, use it" in note
    found = inspect_source(DataSettings(source=str(root), group_from=found.group_proposal))
    assert (found.n_groups, found.n_largest_group) == (12, 5)
    assert not any("groups" in it for it in found.warnings)
    plain = inspect_source(DataSettings(source=str(make_folder({"a": 8, "b": 8}, "plain"))))
    assert "(--group-from finds patients in names)" in next(iter(plain.warnings))


def test_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected a regular expression: missing \)"):
        DataSettings(source="a", group_from="(a")


def test_draw_takes_an_image_of_every_patient_first(
    make_folder: MakeFolder, cache_dir: Path
) -> None:
    root = make_folder({f"{'ab'[i % 2]}/patient{i}": 1 + 9 * (i < 2) for i in range(10)})
    data = prepare_patients(root, cache_dir, max_images=14, split=(0.5, 0.25, 0.25))
    sizes: Counter[int] = Counter()
    for split in data.counts:
        groups = data.groups(split)
        assert groups is not None
        sizes.update(groups)
    assert len(sizes) == 10
    assert max(sizes.values()) == 3
