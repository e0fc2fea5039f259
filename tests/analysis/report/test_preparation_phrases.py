from typing import Any

import pytest

from analysis.report.preparation import Preparation
from analysis.report.preparation_phrases import describe_preparation
from analysis.report.texts import LANGUAGES, texts

ALL: dict[str, Any] = {
    "scaling": "set",
    "pixel_range": (-1350.0, 150.0),
    "window": "lung",
    "resize": "pad",
    "color": "grey",
    "n_groups": 24,
    "n_divided_groups": 2,
    "n_without_group": 1,
    "groups_from": "PatientID",
    "chosen_classes": ("glioma", "normal"),
    "merged_classes": {"tumor": ("a", "b"), "other": ("c",)},
    "positive": "melanoma",
    "labels_from": "masks",
    "slices": "axial:40%-60%",
    "volume": 2,
    "pages": "all",
    "ignores_own_splits": True,
    "has_split_lists": True,
    "leaks": "fixed",
    "max_images": 3000,
    "n_conditions": 2,
    "n_exclusions": 1,
}


def say(**facts: Any) -> dict[str, str]:
    """Return the English texts by the names of their lines, with options."""
    found = describe_preparation(Preparation(**facts), texts("en"))
    return {it.name: f"{it.text} ({it.option})" if it.option else it.text for it in found}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_choice_has_a_line(lang: str) -> None:
    found = describe_preparation(Preparation(**ALL), texts(lang))
    assert len(found) == 17
    assert all(it.name and it.text for it in found)
    options = " ".join(it.option for it in found)
    for option in ("--window lung", "--group-tag PatientID", "--masks", "--fix-leaks", "--pages"):
        assert option in options


def test_nothing_recorded_and_nothing_chosen_is_nothing_said() -> None:
    assert say() == {}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"scaling": "none"}, "as stored in 8 bits: 0 is black, 255 is white"),
        (
            {"scaling": "set", "pixel_range": (-1350.0, 150.0), "window": "lung"},
            "one range for all images of more than 8 bits: −1,350 becomes black, 150 white"
            " (--window lung)",
        ),
        (
            {"scaling": "set", "pixel_range": (3.0, 4000.5)},
            "one range for all images of more than 8 bits: 3 becomes black, 4,000 white;"
            " these are the 0.5th and 99.5th percentiles of the training images",
        ),
        (
            {"scaling": "set", "pixel_range": (0.0, 1.0)},
            "one range for all images of more than 8 bits: 0 becomes black, 1 white",
        ),
        (
            {"scaling": "set", "pixel_range": (0.0, 255.0)},
            "one range for all images: 0 becomes black, 255 white",
        ),
        (
            {"scaling": "set", "pixel_range": (50.0, 150.0), "window": "file"},
            "one range for all images: 50 becomes black, 150 white;"
            " this is the window that the training images propose most often (--window file)",
        ),
        (
            {"scaling": "image", "window": "image"},
            "each image of more than 8 bits has its own range: the 0.5th and 99.5th percentiles of"
            " its pixels become black and white (--window image)",
        ),
    ],
)
def test_range_of_values_is_in_words(facts: dict[str, Any], said: str) -> None:
    assert say(**facts) == {"Pixel values": said}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"groups_from": "source"},
            "each group is in one split; groups are as found in the source",
        ),
        (
            {"groups_from": "paths", "n_divided_groups": 1},
            "1 group is in several splits; groups were found by a pattern in the paths of images"
            " (--group-from)",
        ),
        (
            {"groups_from": "PatientID", "n_without_group": 5},
            "each group is in one split; 5 images have no group; groups are from a DICOM tag"
            " (--group-tag PatientID)",
        ),
    ],
)
def test_groups_are_said_with_their_origin(facts: dict[str, Any], said: str) -> None:
    assert say(n_groups=24, **facts) == {"Groups": f"images of 24 groups; {said}"}


def test_merged_classes_are_listed_by_their_new_name() -> None:
    assert say(merged_classes=ALL["merged_classes"]) == {
        "Merged classes": "tumor: a, b; other: c (--merge)"
    }
