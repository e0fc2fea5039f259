"""Predicted memory of transfer trials: its parts by hand, and the whole against real trainings."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spaces.models.backbones import backbone_cost, find_backbone, transfer_memory_mb
from spaces.models.backbones.memory import (
    EXTRACTION_BATCH,
    LARGEST_MAP_COPIES,
    LAYER_MB,
    SLOT_COPIES,
    TRAINED_COPIES,
    WEIGHT_COPIES,
)

MEASURE = Path(__file__).parents[3] / "benchmarks" / "measure_backbone_memory.py"
CASES = [  # None of these networks was used to find the constants.
    ("vgg16", 96, 6, 16),
    ("convnext_tiny", 96, 20, 16),
    ("mobilenet_v3_large", 96, 16, 64),
]
FACTOR = 1.5
SLACK_MB = 50
MILLION_MB = 4e6 / 2**20  # A million floats.

NOTHING = replace(
    backbone_cost(find_backbone("vgg16"), (32, 32), 0),
    parameters=0,
    n_layers=0,
    peak_live_values=0,
)


def test_weights_of_both_copies_and_all_layers_count() -> None:
    cost = replace(NOTHING, parameters=10**6, n_layers=3)
    expected = WEIGHT_COPIES * MILLION_MB + 3 * LAYER_MB
    assert transfer_memory_mb(cost, 1, n_slots=0) == pytest.approx(expected)


def test_trained_weights_count_with_their_gradients_slots_and_copies() -> None:
    cost = replace(NOTHING, trainable_parameters=10**6)
    expected = (TRAINED_COPIES + 2 * SLOT_COPIES) * MILLION_MB
    assert transfer_memory_mb(cost, 1, n_slots=2) == pytest.approx(expected)


def test_retained_and_live_maps_grow_with_the_batch() -> None:
    kept = replace(NOTHING, retained_values=10**6, largest_map=10**6)
    alive = replace(NOTHING, peak_live_values=10**6)
    expected = 8 * (1 + LARGEST_MAP_COPIES) * MILLION_MB
    assert transfer_memory_mb(kept, 8, n_slots=0) == pytest.approx(expected)
    for batch_size, most in ((8, EXTRACTION_BATCH), (64, 64)):
        expected = most * MILLION_MB
        assert transfer_memory_mb(alive, batch_size, n_slots=0) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "size", "depth", "batch_size"), CASES)
def test_prediction_holds_for_a_real_trial(
    name: str, size: int, depth: int, batch_size: int
) -> None:
    numbers = map(str, (size, depth, batch_size))
    command = [sys.executable, str(MEASURE), "--one", name, *numbers]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout.splitlines()[-1])
    predicted, measured = report["predicted_mb"], report["measured_mb"]
    near = abs(predicted - measured) <= SLACK_MB
    assert near or measured / FACTOR <= predicted <= measured * FACTOR, report
