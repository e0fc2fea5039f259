"""Training time of a network of each family and of the same network written in bare Keras.

Both are trained by `model.fit` on the same prepared arrays, on one thread, in turn. The first
epoch of each, which includes tracing, does not count.

    python tests/benchmarks/family_speed.py [--families plain,vgg,...] [--runs 3] [--epochs 4]
        [--images N] [--source FILE.npz]
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from search.machine.gpus import CPU
from search.trainer.process import trainer_environment

os.environ.update({**trainer_environment(n_threads=1), **CPU.environment})

import keras
import tensorflow as tf
from bare_networks import COMMON, PARAMETERS, build_bare
from fixed_trials import DEFAULT_SOURCE, print_ratios

from search.data import PreparedSet, default_cache_dir, prepare
from search.data.settings import DataSettings
from spaces import Config, SearchSpace
from spaces.keras_models import build_model, build_optimizer
from spaces.parameters.stub_trials import PreferredTrial


class Runner:
    """A compiled network with its data, warmed up by one epoch."""

    def __init__(self, model: Any, config: Config, data: PreparedSet, n_images: int) -> None:
        model.compile(
            build_optimizer(config), "sparse_categorical_crossentropy", metrics=["accuracy"],
            jit_compile=False,
        )  # fmt: skip
        self.model = model
        self.batch_size = config.batch_size
        self.images = data.images("train")[:n_images]
        self.labels = data.labels("train")[:n_images]
        self.seconds(n_epochs=1)

    def seconds(self, n_epochs: int) -> float:
        """Return the seconds that some epochs take."""
        started = time.perf_counter()
        self.model.fit(
            self.images, self.labels, batch_size=self.batch_size, epochs=n_epochs, verbose=0
        )
        return time.perf_counter() - started


def make_pair(family: str, data: PreparedSet, n_images: int) -> tuple[Runner, Runner]:
    """Make the network of a family, and the same network written by hand."""
    config = make_config(family)
    mean, std = list(data.mean), list(data.std)
    ours = build_model(config, data.image_shape, data.n_classes, seed=0, mean=mean, std=std)
    bare = build_bare(family, data.image_shape, data.n_classes, mean, std)
    # Ours subsamples before a strided 1×1 convolution (`_project` says why).
    kinds = [
        sorted(type(it).__name__ for it in model.layers if getattr(it, "pool_size", 0) != (1, 1))
        for model in (ours, bare)
    ]
    assert kinds[0] == kinds[1], f"{family}: the layers of the two networks differ"
    for kind in ("weights", "trainable_weights"):
        shapes = [sorted(str(it.shape) for it in getattr(model, kind)) for model in (ours, bare)]
        assert shapes[0] == shapes[1], f"{family}: the {kind} of the two networks differ"
    return Runner(ours, config, data, n_images), Runner(bare, config, data, n_images)


def make_config(family: str) -> Config:
    """Return the config of the network that is written by hand in `bare_networks`."""
    return SearchSpace.create([family]).suggest(PreferredTrial({**COMMON, **PARAMETERS[family]}))


def main() -> None:
    """Run both networks of each family in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", default=",".join(PARAMETERS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=10_000, help="at most so many")
    parser.add_argument("--source", default=str(DEFAULT_SOURCE))
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    settings = DataSettings(source=options.source, image_size=32)
    data = prepare(settings, default_cache_dir(), None)
    for family in options.families.split(","):
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        ours, bare = make_pair(family, data, options.images)
        pairs = [
            (ours.seconds(options.epochs), bare.seconds(options.epochs))
            for _ in range(options.runs)
        ]
        print_ratios(f"{family}, ours / by hand", pairs, target="at most 1.05")


if __name__ == "__main__":
    main()
