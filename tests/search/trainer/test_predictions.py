"""Predictions as bytes: a round trip, and errors for other bytes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from search.trainer import predictions as module
from search.trainer.predictions import SplitPredictions


def make_answers() -> SplitPredictions:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 10)
    heat = rng.integers(0, 256, (2, 4, 5), dtype=np.uint8)
    return SplitPredictions("val", np.arange(10) % 3, probabilities, np.array([7, 2]), heat)


def test_predictions_survive_a_round_trip() -> None:
    before = make_answers()
    after = SplitPredictions.from_bytes(before.to_bytes())
    assert after.split == "val"
    for name in ("labels", "probabilities", "heat_images", "heat"):
        ours, theirs = getattr(before, name), getattr(after, name)
        assert theirs.dtype == ours.dtype
        np.testing.assert_array_equal(theirs, ours)


def test_predictions_without_heat_maps_survive_a_round_trip() -> None:
    none = replace(
        make_answers(), heat_images=np.array([], np.int64), heat=np.zeros((0, 4, 5), np.uint8)
    )
    assert SplitPredictions.from_bytes(none.to_bytes()).heat.shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.arange(9) % 3}, "a row of probabilities for each label"),
        ({"labels": np.full(10, 3)}, "labels of the classes"),
        ({"heat_images": np.array([7, 10])}, "positions of the images"),
        ({"heat_images": np.array([7])}, "a heat map for each"),
        ({"probabilities": np.full((10, 3), np.nan)}, "add up to 1"),
        ({"probabilities": np.full((10, 3), 0.5)}, "add up to 1"),
    ],
)
def test_inconsistent_parts_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitPredictions.from_bytes(replace(make_answers(), **changes).to_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing of the kind",
        make_answers().to_bytes()[:-9],
        save({"labels": np.arange(3)}),
        b"\xff" * 8 + b"{}",
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="Expected predictions"):
        SplitPredictions.from_bytes(data)


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="at most 100 bytes"):
        SplitPredictions.from_bytes(make_answers().to_bytes())
