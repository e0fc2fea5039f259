"""Time of a worker and of a bare Keras loop that train the same networks on one thread.

The bare loop builds, compiles and fits in one process, with Keras' own early stopping and plateau
reduction. Both begin with a small network that does not count, because of the one-off start.

    python tests/benchmarks/worker_overhead.py [--runs 3] [--epochs 12] [--source FILE.npz]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fixed_trials import (
    DEFAULT_SOURCE,
    ROOT,
    finish_times,
    make_params,
    make_study,
    print_ratios,
    start_worker,
)

WARM_UP = make_params(8)
NETWORKS = (
    make_params(32, 64, 128),
    make_params(16, 32, 64, n_convs=2, optimizer="adam"),
    make_params(48, 96, dense1_units=256),
)

BARE_LOOP = """
import json, os, sys, time
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()
import keras
from search.data import PreparedSet
from spaces import Config
from spaces.keras_models import build_model, build_optimizer
task = json.load(sys.stdin)
data = PreparedSet.open(task["data"])
times = []
for record in task["configs"]:
    config = Config.from_json(record)
    keras.utils.set_random_seed(1)
    shape, n_classes = data.image_shape, data.n_classes
    model = build_model(config, shape, n_classes, seed=1, mean=data.mean, std=data.std)
    model.compile(build_optimizer(config), "sparse_categorical_crossentropy", metrics=["accuracy"],
                  jit_compile=False)
    model.fit(
        data.images("train"), data.labels("train"), batch_size=config.batch_size,
        epochs=task["epochs"], verbose=0,
        validation_data=(data.images("val"), data.labels("val")),
        validation_batch_size=config.batch_size,
        callbacks=[
            keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=task["epochs"],
                                          restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("val_loss", patience=3, factor=0.5),
        ],
    )
    times.append(time.time())
print(json.dumps(times))
"""


def run_bare(source: Path, epochs: int) -> float:
    """Return the seconds of the bare loop, from the end of the warm-up to the last network's."""
    with tempfile.TemporaryDirectory() as folder:
        opened = make_study(
            Path(folder), (WARM_UP, *NETWORKS), source=source, max_epochs=epochs, name="bare"
        )
        configs = [
            opened.space.suggest(opened.study.ask()).to_json() for _ in range(1 + len(NETWORKS))
        ]
        images = opened.settings.images["scratch"].path
        task = {"data": images, "epochs": epochs, "configs": configs}
        done = subprocess.run(
            [sys.executable, "-c", BARE_LOOP], input=json.dumps(task), text=True, check=True,
            capture_output=True, cwd=ROOT,
        )  # fmt: skip
    times = json.loads(done.stdout)
    return float(times[-1] - times[0])


def run_worker(source: Path, epochs: int) -> float:
    """Return the same seconds of a worker with its trainer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opened = make_study(
            folder, (WARM_UP, *NETWORKS), source=source, max_epochs=epochs, name="worker"
        )
        worker = start_worker(folder, "worker", n_threads=1)
        while worker.poll() is None:
            time.sleep(0.5)
        times = finish_times(opened)
    assert len(times) == 1 + len(NETWORKS), (folder / "worker.log").read_text()
    return times[-1] - times[0]


def main() -> None:
    """Run worker and bare loop in turn, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE)
    options = parser.parse_args()
    pairs = []
    for _ in range(options.runs):
        pairs.append(
            (run_worker(options.source, options.epochs), run_bare(options.source, options.epochs))
        )
        print_ratios("worker / bare loop so far", pairs, target="at most 1.05")


if __name__ == "__main__":
    main()
