"""Predicted training memory: its parts by hand, and the whole against real trainings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spaces.cost.training_memory import (
    LARGEST_MAP_COPIES,
    LAYER_MB,
    SLOT_COPIES,
    SLOT_LAYER_MB,
    TRAINING_MB,
    WEIGHT_COPIES,
    RetainedActivations,
    training_memory_mb,
)
from spaces.families import default_families
from spaces.network_settings import SGD, Adam, LayerSettings, Regularizer

MEASURE = Path(__file__).parents[2] / "benchmarks" / "measure_memory.py"
FACTOR = 1.5
SLACK_MB = 50
MILLION_MB = 4e6 / 2**20  # a million floats

SETTINGS = LayerSettings("he_normal", "he_normal", "relu", False, 0.0, Regularizer())


def memory(
    values: RetainedActivations, parameters: int, batch_size: int = 1, n_slots: int = 0
) -> float:
    optimizer = Adam(0.001, 0.9) if n_slots else SGD(0.01, 0.0, False)
    return training_memory_mb(
        values, parameters, batch_size, settings=SETTINGS, optimizer=optimizer
    )


def test_memory_of_nothing_is_that_of_any_training() -> None:
    assert memory(RetainedActivations(), 0) == TRAINING_MB


def test_kept_maps_grow_with_the_batch() -> None:
    values = RetainedActivations()
    values.add_map(10**6, copies=2)
    values.add_map(10**5)
    maps_mb = (2 + LARGEST_MAP_COPIES) * MILLION_MB
    assert memory(values, 0) == pytest.approx(TRAINING_MB + maps_mb)
    assert memory(values, 0, batch_size=32) == pytest.approx(TRAINING_MB + 32 * maps_mb)


def test_weights_count_with_their_gradients_slots_and_copies() -> None:
    values = RetainedActivations(n_layers=3)
    plain = TRAINING_MB + 3 * LAYER_MB + WEIGHT_COPIES * MILLION_MB
    assert memory(values, 10**6) == pytest.approx(plain)
    slots_mb = 2 * (SLOT_COPIES * MILLION_MB + 3 * SLOT_LAYER_MB)
    assert memory(values, 10**6, n_slots=2) == pytest.approx(plain + slots_mb)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("family", "n_configs", "max_memory_mb", "span", "n_heavy"),
    [
        ("plain", 9, 2500, 20, 2),
        *((it, 4, 1200, 5, 0) for it in default_families() if it != "plain"),
    ],
)
def test_predictions_hold_for_real_trainings_of_every_size(
    family: str, n_configs: int, max_memory_mb: int, span: int, n_heavy: int
) -> None:
    options = {"family": family, "configs": n_configs, "seed": 12, "max-memory": max_memory_mb}
    command = [sys.executable, MEASURE, *(f"--{name}={it}" for name, it in options.items())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == n_configs
    measured = [report["measured_mb"] for report in reports]
    assert max(measured) >= span * min(measured)
    assert sum(report["config"]["batch_size"] == 128 for report in reports) >= 1
    assert sum(report["parameters"] > 5_000_000 for report in reports) >= n_heavy
    for report in reports:
        predicted, actual = report["predicted_mb"], report["measured_mb"]
        near = abs(predicted - actual) <= SLACK_MB
        assert near or actual / FACTOR <= predicted <= actual * FACTOR, report
