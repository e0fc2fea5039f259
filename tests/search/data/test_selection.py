from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from search.data.near_duplicates import SIDE
from search.data.quotas import even_quotas, proportional_quotas
from search.data.selection import Selection, select
from search.data.settings import DataSettings
from search.data.source_api import SPLITS, Decoded, ImageInfo, Item, UnreadableImage
from search.errors import DataError


class FakeSource:
    """A source of items written as `split:class:content`; content `!` is a broken image."""

    kind = "fake"
    warnings: Sequence[str] = ()

    def __init__(self, texts: Sequence[str]) -> None:
        rows = [text.split(":") for text in texts]
        self.classes = tuple(sorted({row[1] for row in rows}))
        self.contents = [row[2] for row in rows]
        self.items = [
            Item(f"{i}-{text}", self.classes.index(row[1]), row[0])
            for i, (text, row) in enumerate(zip(texts, rows, strict=True))
        ]
        self.n_looks = 0

    def identity(self) -> str:
        return "fake"

    def n_bytes(self, index: int) -> int:
        return 1

    def read(self, index: int) -> Decoded:
        raise NotImplementedError

    def inspect(self, indices: Sequence[int]) -> list[ImageInfo | UnreadableImage]:
        """Describe images, as the reader does."""
        self.n_looks += len(indices)
        return [
            UnreadableImage("it is torn")
            if self.contents[i] == "!"
            else ImageInfo(
                self.contents[i].encode(),
                8,
                8,
                has_color="color" in self.contents[i],
                thumbnail=_thumbnail(self.contents[i]),
            )
            for i in indices
        ]


def _thumbnail(content: str) -> bytes:
    """Return random pixels, the same for equal contents before a `~`."""
    rng = np.random.default_rng(list(content.split("~", maxsplit=1)[0].encode()))
    return rng.integers(0, 256, (SIDE, SIDE), "uint8").tobytes()


def _select(source: FakeSource, **options: object) -> Selection:
    settings = DataSettings(source="fake", **options)
    return select(source, settings, source.inspect)


def _used(selection: Selection) -> list[int]:
    return sorted(i for part in selection.splits.values() for i in part)


def _plain(counts: dict[str, int], split: str = "") -> list[str]:
    return [f"{split}:{name}:{split}{name}{i}" for name, n in counts.items() for i in range(n)]


def _per_class(source: FakeSource, indices: Sequence[int]) -> dict[str, int]:
    return dict(Counter(source.classes[source.items[i].label] for i in indices))


def test_splits_are_stratified_and_hold_every_image_once() -> None:
    source = FakeSource(_plain({"a": 100, "b": 40}))
    selection = _select(source)
    splits = selection.splits
    assert _per_class(source, splits["train"]) == {"a": 70, "b": 28}
    assert _per_class(source, splits["val"]) == {"a": 15, "b": 6}
    assert _per_class(source, splits["test"]) == {"a": 15, "b": 6}
    assert _used(selection) == list(range(140))


def test_seed_decides_the_splits() -> None:
    source = FakeSource(_plain({"a": 50, "b": 50}))
    assert _select(source, seed=1).splits == _select(source, seed=1).splits
    assert _select(source, seed=1).splits != _select(source, seed=2).splits


def test_draw_is_even_over_classes() -> None:
    source = FakeSource(_plain({"a": 500, "b": 30, "c": 200}))
    selection = _select(source, max_images=150)
    assert _per_class(source, _used(selection)) == {"a": 60, "b": 30, "c": 60}
    assert source.n_looks == 150


def test_draw_depends_on_the_seed() -> None:
    source = FakeSource(_plain({"a": 100, "b": 100}))
    draws = [_used(_select(source, max_images=20, seed=seed)) for seed in (0, 1)]
    assert draws[0] != draws[1]


def test_own_splits_share_the_draw_in_proportion() -> None:
    texts = [
        *_plain({"a": 70, "b": 70}, "train"),
        *_plain({"a": 10, "b": 10}, "val"),
        *_plain({"a": 20, "b": 20}, "test"),
    ]
    source = FakeSource(texts)
    splits = _select(source, max_images=100).splits
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 70,
        "val": 10,
        "test": 20,
    }
    for name, part in splits.items():
        assert {source.items[i].split for i in part} == {name}
        assert len(set(_per_class(source, part).values())) == 1


def test_broken_images_are_replaced_from_the_rest_of_the_class() -> None:
    source = FakeSource([*_plain({"a": 60, "b": 60}), *[":a:!"] * 20])
    selection = _select(source, max_images=60)
    assert _per_class(source, _used(selection)) == {"a": 30, "b": 30}
    assert set(selection.broken.values()) == {"it is torn"}


def test_broken_image_is_an_error_when_strict() -> None:
    source = FakeSource([*_plain({"a": 6, "b": 6}), ":a:!"])
    with pytest.raises(DataError, match="Cannot read the image 12-:a:!: it is torn"):
        _select(source, strict=True)


def test_duplicates_stay_together_and_count_as_images() -> None:
    source = FakeSource([*_plain({"a": 6, "b": 6}), ":a:a3", ":a:a3"])
    selection = _select(source)
    assert len(_used(selection)) == 14
    assert selection.duplicates == []
    (split,) = [name for name in SPLITS if 3 in selection.splits[name]]
    assert {3, 12, 13} <= set(selection.splits[split])


def test_duplicates_never_lie_in_two_splits() -> None:
    source = FakeSource([text for text in _plain({"a": 40, "b": 40}) for _ in range(3)])
    splits = _select(source).splits
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 168,
        "val": 36,
        "test": 36,
    }
    contents = {name: {source.contents[i] for i in splits[name]} for name in SPLITS}
    assert len(set().union(*contents.values())) == sum(map(len, contents.values())) == 80


def test_class_of_one_image_many_times_cannot_be_split() -> None:
    source = FakeSource([*_plain({"a": 20}), *[":b:b0"] * 20])
    with pytest.raises(DataError, match="Class 'b' is too small to split"):
        _select(source)


def test_same_pixels_in_two_classes_are_left_out_and_named() -> None:
    source = FakeSource([*_plain({"a": 6, "b": 6}), ":b:a3", ":a:a3"])
    selection = _select(source)
    assert _used(selection) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert selection.conflicts == [("3-:a:a3", "12-:b:a3", "13-:a:a3")]


def test_duplicate_across_own_splits_is_taken_out_of_train() -> None:
    texts = [
        *_plain({"a": 5, "b": 5}, "train"),
        *_plain({"a": 3, "b": 3}, "val"),
        *_plain({"a": 3, "b": 3}, "test"),
        "train:a:vala0",
        "train:b:testb1",
        "val:b:testb2",
    ]
    source = FakeSource(texts)
    selection = _select(source)
    assert {name: len(part) for name, part in selection.splits.items()} == {
        "train": 10,
        "val": 6,
        "test": 6,
    }
    assert sorted(selection.duplicates) == [
        ("22-train:a:vala0", "10-val:a:vala0"),
        ("23-train:b:testb1", "20-test:b:testb1"),
        ("24-val:b:testb2", "21-test:b:testb2"),
    ]


def test_contradiction_across_own_splits_drops_both() -> None:
    texts = [text for split in SPLITS for text in _plain({"a": 5, "b": 5}, split)]
    source = FakeSource([*texts, "train:b:testa0"])
    selection = _select(source)
    assert {name: len(part) for name, part in selection.splits.items()} == {
        "train": 10,
        "val": 10,
        "test": 9,
    }
    assert selection.conflicts == [("20-test:a:testa0", "30-train:b:testa0")]


@pytest.mark.parametrize("missing", ["val", "test"])
def test_missing_split_is_cut_from_train_in_its_proportion(missing: str) -> None:
    kept = {"val": "test", "test": "val"}[missing]
    source = FakeSource([*_plain({"a": 85, "b": 170}, "train"), *_plain({"a": 9, "b": 9}, kept)])
    splits = _select(source).splits
    assert _per_class(source, splits[missing]) == {"a": 15, "b": 30}
    assert _per_class(source, splits["train"]) == {"a": 70, "b": 140}
    assert {source.items[i].split for i in splits[kept]} == {kept}


def test_three_images_a_class_are_enough() -> None:
    source = FakeSource(_plain({"a": 3, "b": 3}))
    for part in _select(source).splits.values():
        assert _per_class(source, part) == {"a": 1, "b": 1}


def test_class_too_small_to_split_is_refused() -> None:
    source = FakeSource(_plain({"a": 20, "b": 2}))
    with pytest.raises(
        DataError,
        match=r"'b' is too small to split: expected at least 3 .*, found 2\. Add images",
    ):
        _select(source)


def test_class_too_small_without_its_broken_images_is_refused() -> None:
    source = FakeSource([*_plain({"a": 20, "b": 2}), *[":b:!"] * 4])
    with pytest.raises(DataError, match=r"found 6 \(images left out: 4 broken\)\. Add"):
        _select(source)


def test_class_of_equal_images_is_refused_with_their_number() -> None:
    source = FakeSource([*_plain({"a": 20}), *[":b:same"] * 9])
    with pytest.raises(DataError, match="found 9, but only 1 different image"):
        _select(source)


def test_draw_is_not_blamed_for_broken_images() -> None:
    source = FakeSource([*_plain({"a": 40, "b": 2}), ":b:!", ":b:!"])
    with pytest.raises(DataError, match=r"found 4 \(images left out: 2 broken\)\. Add images, or"):
        _select(source, max_images=30)


def test_draw_too_small_for_the_classes_is_refused() -> None:
    source = FakeSource(_plain({"a": 20, "b": 20}))
    with pytest.raises(
        DataError, match=r", of which --max-images leaves 2\. Add .*, or raise --max-images"
    ):
        _select(source, max_images=4)


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ([5, 5], 20, [5, 5]),
        ([10, 10], 7, [3, 4]),
        ([100, 2, 50], 30, [14, 2, 14]),
        ([0, 9], 4, [0, 4]),
    ],
)
def test_even_quotas(counts: list[int], total: int, expected: list[int]) -> None:
    assert even_quotas(counts, total) == expected


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [([70, 15, 15], 200, [70, 15, 15]), ([70, 20, 10], 10, [7, 2, 1]), ([1, 1, 1], 2, [1, 1, 0])],
)
def test_shares(sizes: list[int], total: int, expected: list[int]) -> None:
    assert proportional_quotas(sizes, total) == expected


@pytest.mark.parametrize(
    ("n_colored", "n_grey", "has_color"),
    [(0, 30, False), (1, 3, False), (2, 18, True), (2, 19, False), (3, 30, False), (30, 0, True)],
)
def test_color_of_more_than_a_few_images_of_a_class_counts(
    n_colored: int, n_grey: int, has_color: bool
) -> None:
    """The other class is grey and larger, so that it is the share of the class that counts."""
    texts = [f":a:color{i}" for i in range(n_colored)] + _plain({"a": n_grey, "b": 300})
    selection = _select(FakeSource(texts))
    assert sum(info.has_color for info in selection.infos.values()) == n_colored
    assert selection.has_color == has_color
