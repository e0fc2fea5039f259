"""One range of values for a whole set: the same in training and in prediction."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, PreparedSet, inspect_source, prepare
from search.data.inference_images import PreparedImage, prepare_image
from search.data.pixel_values import percentile_range, plain_range, sample_values, to_uint8
from tests.search.data.deep_files import save_deep_png

PICTURES = np.random.default_rng(5).integers(0, 256, (20, 24, 24)).astype(np.uint16)
SETTINGS = {"image_size": 24, "split": (0.5, 0.25, 0.25)}


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.ndim == 3 and pixels.dtype == np.uint16:
        save_deep_png(path.with_suffix(".png"), pixels)
    else:
        Image.fromarray(pixels).save(path.with_suffix(".tif"))


def prepare_pictures(folder: Path, pictures: list[np.ndarray], **options: object) -> PreparedSet:
    for number, pixels in enumerate(pictures):
        save(folder / "images" / "ab"[number % 2] / f"{number:02}", pixels)
    settings = DataSettings(source=str(folder / "images"), **{**SETTINGS, **options})  # type: ignore[arg-type]
    return prepare(settings, folder / "cache")


def all_images(data: PreparedSet) -> np.ndarray:
    return np.concatenate([data.images(split) for split in data.counts])


@pytest.mark.parametrize(
    "make",
    [
        lambda it: it * 16,
        lambda it: (it * 4.0 - 500).astype(np.float32),
        lambda it: it.astype(np.int32) * 9 - 1000,
        lambda it: np.stack([it * 16, it[::-1] * 16, it.T * 16], axis=-1),
    ],
    ids=["12 bits", "floats", "signed", "color"],
)
def test_deep_file_is_predicted_as_it_was_trained(
    tmp_path: Path, make: Callable[[np.ndarray], np.ndarray]
) -> None:
    data = prepare_pictures(tmp_path, [make(it) for it in PICTURES])
    assert data.pixel_range is not None
    trained = {it.tobytes() for it in all_images(data)}
    read = set()
    for path in (tmp_path / "images").rglob("*.*"):
        found = prepare_image(path, 24, data.image_shape[-1], "auto", data.pixel_range)
        assert isinstance(found, PreparedImage)
        read.add(found.pixels.tobytes())
    assert read == trained


@pytest.mark.parametrize("is_array", [False, True], ids=["folder", "npz"])
def test_hot_pixels_leave_the_contrast_of_the_others(tmp_path: Path, is_array: bool) -> None:
    pictures = PICTURES * 16
    pictures[:, 3, 3] = 65535
    if is_array:
        np.savez(tmp_path / "set.npz", images=pictures, labels=np.arange(20) % 2)
        settings = DataSettings(source=str(tmp_path / "set.npz"), **SETTINGS)  # type: ignore[arg-type]
        data = prepare(settings, tmp_path / "cache")
    else:
        data = prepare_pictures(tmp_path, list(pictures))
    assert min(len(np.unique(it)) for it in all_images(data)) > 150
    assert data.pixel_range is not None
    assert data.pixel_range[1] < 4096


def test_images_are_brighter_than_others_if_their_values_are(tmp_path: Path) -> None:
    """A range for each image would make all equally bright."""
    data = prepare_pictures(tmp_path, [it * (4 if i % 2 else 16) for i, it in enumerate(PICTURES)])
    means = [data.images("train")[data.labels("train") == label].mean() for label in (0, 1)]
    assert means[0] > 3 * means[1]


def test_range_is_that_of_the_training_images(tmp_path: Path) -> None:
    first = prepare_pictures(tmp_path / "a", [it * 16 for it in PICTURES])
    test = first.images("test")[0, ..., 0]
    is_test = [np.array_equal(to_uint8(it * 16, first.pixel_range), test) for it in PICTURES]
    assert sum(is_test) == 1
    changed = [it * 100 if odd else it * 16 for it, odd in zip(PICTURES, is_test, strict=True)]
    assert prepare_pictures(tmp_path / "b", changed).pixel_range == first.pixel_range


def test_whole_numbers_of_8_bits_stay_as_they_are(tmp_path: Path) -> None:
    data = prepare_pictures(tmp_path, list(PICTURES // 2))
    assert data.pixel_range == (0, 255)
    assert all_images(data).max() == PICTURES.max() // 2


def test_8_bit_images_among_deeper_ones_stay_as_they_are(tmp_path: Path) -> None:
    pictures = [it.astype(np.uint8) if i % 2 else it * 16 for i, it in enumerate(PICTURES)]
    data = prepare_pictures(tmp_path, pictures)
    prepared = {it.tobytes() for it in all_images(data)}
    assert {it.tobytes() for it in pictures[1::2]} <= prepared
    summary = inspect_source(DataSettings(source=str(tmp_path / "images")))
    assert summary.pixel_types == {"uint16": 10, "uint8": 10}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_image_without_finite_values_is_left_out(tmp_path: Path, value: float) -> None:
    pictures = [it.astype(np.float32) for it in PICTURES]
    pictures[4][2, 2] = value
    data = prepare_pictures(tmp_path, pictures)
    assert data.metadata["broken"] == {"a/04.tif": "it holds NaN or infinity"}


def test_floats_within_0_to_1_keep_their_scale(tmp_path: Path) -> None:
    data = prepare_pictures(tmp_path, [(it / 510).astype(np.float32) for it in PICTURES])
    assert data.pixel_range == (0, 1)
    assert all_images(data).max() in {127, 128}


def test_every_image_counts_the_same_in_the_percentiles() -> None:
    samples = [np.full(4000, 10), np.linspace(0, 1000, 400), np.linspace(0, 1000, 400)]
    low, high = percentile_range(samples)
    assert (low, high) == pytest.approx((7.5, 992.5), abs=3)
    assert percentile_range([np.array([7, 7, 7])]) == (7, 7)
    assert percentile_range([np.array([0] * 999 + [9])]) == (0, 9)  # Nearly all are one value.


def test_values_are_sampled_over_the_whole_image() -> None:
    columns = np.tile(np.arange(512), (512, 1))
    found = sample_values(columns)
    assert 3000 < found.size <= 4096
    assert len(np.unique(found)) == 64


@pytest.mark.parametrize(
    ("kinds", "low", "high", "expected"),
    [
        (["uint16"], 0, 255, (0, 255)),
        (["int64"], 0, 256, None),
        (["int16"], -1, 200, None),
        (["float32"], 0, 1, (0, 1)),
        (["float64"], 0, 255, None),
        (["float32", "uint16"], 0, 1, None),
    ],
)
def test_range_that_the_numbers_say(
    kinds: list[str], low: float, high: float, expected: tuple[float, float] | None
) -> None:
    assert plain_range(kinds, low, high) == expected


def test_window_is_the_same_for_all_sets(tmp_path: Path) -> None:
    pictures = [it.astype(np.int32) * 10 - 1000 for it in PICTURES]
    data = prepare_pictures(tmp_path, pictures, window="soft-tissue")
    assert data.pixel_range == (-150, 250)
    expected = {to_uint8(it, (-150.0, 250.0)).tobytes() for it in pictures}
    assert {it.tobytes() for it in all_images(data)} == expected


def test_each_image_may_have_its_own_range(tmp_path: Path) -> None:
    pictures = [it * (4 if i % 2 else 200) for i, it in enumerate(PICTURES)]
    data = prepare_pictures(tmp_path / "set", pictures)
    (warning,) = data.metadata["warnings"]
    assert "images of class b have about 5 of 256 grey levels" in warning
    data = prepare_pictures(tmp_path / "own", pictures, window="image")
    assert data.pixel_range == "image"
    assert data.metadata["warnings"] == []
    assert min(len(np.unique(it)) for it in all_images(data)) > 150
    path = tmp_path / "own" / "images" / "a" / "00.tif"
    found = prepare_image(path, 24, 1, "auto", data.pixel_range)
    assert isinstance(found, PreparedImage)
    assert found.pixels.tobytes() in {it.tobytes() for it in all_images(data)}
    assert found.notes[-1].endswith("made 0 to 255: its own range, as in training")


@pytest.mark.parametrize("text", ["", "lungs", "40", "40/0", "40/-5", "nan/3", "1/2/3", "40/inf"])
def test_windows_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"Expected auto, image, file, lung, bone, .* such as 40/400"
    ):
        DataSettings(source="a", window=text)


def test_types_that_differ_between_classes_are_a_warning(tmp_path: Path) -> None:
    pictures = [it.astype(np.uint8) if i % 2 else it * 16 for i, it in enumerate(PICTURES)]
    data = prepare_pictures(tmp_path, pictures)
    assert data.metadata["warnings"] == [
        "the classes differ in the type of their pixels (a: uint16; b: uint8): a network can tell"
        " them by it, so accuracy means little"
    ]
