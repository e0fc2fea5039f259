"""Evaluation of a split with examples: groups of images count as one in intervals."""

from pathlib import Path

import numpy as np
from PIL import Image

from search.data import DataSettings, prepare
from search.reports.example_images import examine_predictions
from search.trainer.predictions import SplitPredictions


def test_intervals_are_over_patients(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(120):
        path = tmp_path / "set" / "ab"[number % 2] / f"p{number // 10}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    split, widths = (0.2, 0.1, 0.7), {}
    for pattern in ("", r"(p\d+)_"):
        settings = DataSettings(
            source=str(tmp_path / "set"), image_size=8, split=split, group_from=pattern
        )
        images = prepare(settings, tmp_path / "cache")
        labels = np.array(images.labels("test"))
        groups = images.groups("test") or list(range(len(labels)))
        is_correct = np.array(groups) % 3 > 0  # All images of a patient, or none.
        chosen = np.where(is_correct, labels, 1 - labels)
        found = examine_predictions(
            SplitPredictions(
                "test", labels, np.eye(2)[chosen], np.empty(0, np.int64), np.empty((0, 8, 8), "u1")
            ),
            images,
        ).evaluation
        assert found.n_groups == (len(set(groups)) if pattern else None)
        widths[pattern] = found.accuracy.high - found.accuracy.low
    assert widths[r"(p\d+)_"] > 1.5 * widths[""]
