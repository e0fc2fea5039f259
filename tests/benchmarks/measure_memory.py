"""Measure training memory against its prediction, for the constants of `training_memory`.

`python tests/benchmarks/measure_memory.py` trains configs of every size, each in its own process,
and prints a line for each, as the slow test of `spaces.cost.training_memory` does.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import psutil

from search.machine.gpus import CPU
from search.trainer.process import trainer_environment
from spaces import Config, SearchSpace, SpaceError, predict_cost

if TYPE_CHECKING:  # loads TensorFlow
    from search.data.prepared_file import PreparedSet

MB = 2**20
N_CLASSES = 4
N_STEPS = 3
N_EPOCHS = 2
LEARNING_RATE = 1e-6  # Random networks sometimes diverge at the rates that were drawn.
SMALLEST_MB = {"plain": 18.0}  # Hardly any network is predicted to need less.
SMALLEST_OF_OTHERS_MB = 50.0
KINDS: list[dict[str, object]] = [
    {},
    {"head": "flatten", "dense_layers": {"low": 1}, "dense1_units": {"low": 256}},
    {"batch_size": 128},
]
MAX_OPERATIONS = 100e9  # Of all steps together: about 5 s on one thread.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="plain")
    parser.add_argument("--configs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-memory", type=float, default=2500, help="predicted, in MB")
    options = parser.parse_args()
    load_as_trainer()
    for config, image_shape in draw_configs(
        options.family, options.configs, options.seed, options.max_memory
    ):
        cost = predict_cost(config, image_shape, N_CLASSES)
        predicted = cost.memory_mb
        measured = measure_in_process(config, image_shape)
        report = {
            "predicted_mb": round(predicted),
            "measured_mb": round(measured),
            "ratio": round(predicted / measured, 2),
            "parameters": cost.parameters,
            "image_shape": image_shape,
            "config": config.to_json(),
        }
        print(json.dumps(report), flush=True)


def draw_configs(
    family: str, n_configs: int, seed: int, max_memory_mb: float
) -> list[tuple[Config, tuple[int, int, int]]]:
    """Draw configs of a family, spread evenly over the logarithm of their predicted memory.

    One in three has many dense weights, and one in three trains in batches of 128.
    """
    rng = random.Random(seed)
    spaces = [SearchSpace.create([family], narrowed) for narrowed in KINDS]
    smallest = SMALLEST_MB.get(family, SMALLEST_OF_OTHERS_MB)
    bounds = [
        smallest * (max_memory_mb / smallest) ** (i / n_configs) for i in range(n_configs + 1)
    ]
    found: dict[int, tuple[Config, tuple[int, int, int]]] = {}
    for _ in range(30_000):
        kind = rng.randrange(len(KINDS))
        config = spaces[kind].random_config(rng)
        side = rng.choice((28, 32, 48, 64, 96))
        image_shape = (side, side, rng.choice((1, 1, 3)))
        try:
            cost = predict_cost(config, image_shape, N_CLASSES)
        except SpaceError:
            continue
        bin_number = sum(cost.memory_mb >= bound for bound in bounds) - 1
        operations = cost.operations * 3 * config.batch_size * N_STEPS * N_EPOCHS
        if bin_number % len(KINDS) != kind:
            continue
        if 0 <= bin_number < n_configs and operations < MAX_OPERATIONS:
            found.setdefault(bin_number, (config, image_shape))
        if len(found) == n_configs:
            break
    return [found[number] for number in sorted(found)]


def load_as_trainer() -> None:
    """Load TensorFlow in a trainer's environment; processes that are forked have it loaded too.

    Without oneDNN, which a trainer turns on, convolutions need memory that no user sees.
    """
    os.environ.update({**trainer_environment(n_threads=1), **CPU.environment})
    from search.training.main import load_tensorflow

    load_tensorflow()


def measure_in_process(config: Config, image_shape: tuple[int, int, int]) -> float:
    """Return the peak growth in MB, measured in a process that has trained nothing before."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(measure(config, image_shape)))
    process.start()
    sender.close()
    try:
        return float(receiver.recv())
    except EOFError:
        process.join()
        raise RuntimeError(f"The process ended with exit code {process.exitcode}.") from None


def measure(config: Config, image_shape: tuple[int, int, int]) -> float:
    """Return the peak growth in MB of this process in training, after warming it up."""
    train(tiny_config(), (16, 16, 1))
    calm = replace(config, optimizer=replace(config.optimizer, learning_rate=LEARNING_RATE))
    with PeakMemory() as peak:
        train(calm, image_shape)
    return peak.growth_mb


def tiny_config() -> Config:
    """Return the smallest config that has every kind of layer."""
    narrowed = {
        "stages": 1,
        "convs": 1,
        "channels": 8,
        "kernel_size": 3,
        "dense_layers": 1,
        "units": 32,
        "batch_size": 16,
    }
    return SearchSpace.create(["plain"], narrowed).random_config(random.Random(0))


def train(
    config: Config,
    image_shape: tuple[int, int, int],
    n_epochs: int = N_EPOCHS,
    on_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Run short epochs of a trainer's fit in each phase, with checkpoints, to its end."""
    from search.trainer.protocol import Task
    from search.training.fit import Fit

    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            config=config.to_json(),
            data="",
            fingerprint="",
            checkpoint=f"{folder}/trial.checkpoint",
            seed=0,
            max_epochs=n_epochs,
            patience=n_epochs,
            plateau_patience=n_epochs,
            plateau_factor=0.5,
            min_learning_rate=1e-6,
            weights={"source": "none", "mode": None, "digest": "none"},
            features=f"{folder}/features",
        )
        fit = Fit(task, synthetic_set(config.batch_size, image_shape))
        while fit.has_next_epoch:
            fit.run_epoch()
            on_epoch()
        fit.finish()


def synthetic_set(batch_size: int, image_shape: tuple[int, int, int]) -> "PreparedSet":
    """Return a set of random images: a few batches for training and one for validation."""
    import numpy as np

    from search.data.prepared_file import PreparedSet, Split

    def split(n_images: int) -> Split:
        images = np.random.default_rng(0).integers(0, 256, (n_images, *image_shape), "uint8")
        return Split(images, np.arange(n_images) % N_CLASSES)

    splits = {"train": split(N_STEPS * batch_size), "val": split(batch_size)}
    channels = image_shape[-1]
    metadata = {
        "fingerprint": "",
        "classes": list("abcd"),
        "mean": [128.0] * channels,
        "std": [74.0] * channels,
    }
    return PreparedSet(Path("synthetic"), splits, metadata)


class PeakMemory:
    """The peak resident memory of this process inside a `with` block."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self.growth_mb = 0.0

    def __enter__(self) -> "PeakMemory":
        self._start = self._peak = self._process.memory_info().rss
        self._high_water = high_water()
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        if high_water() > self._high_water:  # A new peak: exact, unlike samples.
            self._peak = max(self._peak, high_water())
        self.growth_mb = (self._peak - self._start) / MB

    def _sample(self) -> None:
        while not self._ended.is_set():
            self._peak = max(self._peak, self._process.memory_info().rss)
            time.sleep(0.002)


def high_water() -> int:
    """Return the peak resident memory of this process since its start, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
