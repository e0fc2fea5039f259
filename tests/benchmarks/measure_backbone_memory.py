"""Measure the memory of transfer trials, for the constants of `spaces.models.backbones.memory`.

`python tests/benchmarks/measure_backbone_memory.py` trains a small head on a few backbones at
several depths of unfreezing, each in its own process. It prints a line for each: the peak growth
of resident memory in MB in both phases, and the prediction. With `--one NAME SIZE DEPTH BATCH` it
measures one case, as the slow test does.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure_memory import PeakMemory, tiny_config, train

from spaces import Config, SearchSpace
from spaces.models.backbones import backbone_cost, find_backbone, transfer_memory_mb

CASES = [
    (name, size, depth, batch)
    for name in ("mobilenet_v2", "efficientnet_b0", "densenet121", "resnet50_v2")
    for size, depth, batch in ((96, 1, 32), (96, 12, 32), (96, 48, 32), (96, 24, 128))
]
N_CLASSES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=4, metavar=("NAME", "SIZE", "DEPTH", "BATCH"))
    options = parser.parse_args()
    if options.one:
        name, *numbers = options.one
        print(json.dumps(measure(name, *map(int, numbers))))
        return
    for name, size, depth, batch in CASES:
        print(json.dumps(measure_in_process(name, size, depth, batch)), flush=True)


def measure_in_process(name: str, size: int, depth: int, batch: int) -> dict[str, object]:
    """Return measured and predicted peak growth in MB, measured in a fresh process."""
    command = [sys.executable, __file__, "--one", name, str(size), str(depth), str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


def measure(name: str, size: int, depth: int, batch: int) -> dict[str, object]:
    """Return this process's peak growth in both phases, after warming up with a tiny network."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    train(tiny_config(), (16, 16, 1))
    config = transfer_config(name, depth, batch)
    with PeakMemory() as peak:
        phases = train_both(config, size)
    cost = backbone_cost(find_backbone(name), (size, size), depth)
    predicted = transfer_memory_mb(cost, batch, n_slots=config.optimizer.n_slots)
    return {
        "case": [name, size, depth, batch],
        "measured_mb": round(peak.growth_mb),
        "predicted_mb": round(predicted),
        "ratio": round(predicted / peak.growth_mb, 2),
        "phases_mb": phases,
        "parameters_m": round(cost.parameters / 1e6, 1),
        "trained_m": round(cost.trainable_parameters / 1e6, 1),
        "kept_mb": round(cost.retained_values * batch * 4 / 2**20),
        "largest_mb": round(cost.largest_map * batch * 4 / 2**20),
        "alive_mb": round(cost.peak_live_values * batch * 4 / 2**20),
        "n_layers": [cost.n_layers, cost.n_trained_layers],
    }


def transfer_config(name: str, depth: int, batch: int) -> Config:
    """Return a config of a backbone with the smallest head."""
    import random

    narrowed = {
        "backbone": name,
        "unfrozen_layers": depth,
        "head": "global_average",
        "dense_layers": 0,
        "optimizer": "adam",
        "batch_size": batch,
        "augmentation": False,
        "regularizer": "none",
    }
    return SearchSpace.create(["transfer"], narrowed).random_config(random.Random(0))


def train_both(config: Config, size: int) -> list[int]:
    """Run an epoch of each phase as a trainer does, and return the growth in MB after each."""
    import psutil

    process = psutil.Process()
    start = process.memory_info().rss
    grown: list[int] = []

    def note() -> None:
        grown.append(round((process.memory_info().rss - start) / 2**20))

    train(config, (size, size, 1), n_epochs=1, on_epoch=note)
    return grown


if __name__ == "__main__":
    main()
