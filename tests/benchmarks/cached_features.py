"""Phase one of transfer from cached features against training the head through the backbone.

    python tests/benchmarks/cached_features.py --weights FILE [--source FILE.npz] [--runs 3]

MobileNetV2 at 96 px, one head, one thread. The features are computed beforehand, as the first
trial of a study does for all others. Both train the same head on the same batches, in turns; the
ratio of epochs per minute should be at least 8.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from fixed_trials import DEFAULT_SOURCE

MIN_EPOCHS = {"cached": 6, "frozen": 1}
SETTINGS = {
    "backbone": "mobilenet_v2",
    "head": "global_average",
    "dense_layers": 1,
    "dense1_units": 128,
    "optimizer": "adam",
    "batch_size": 32,
    "augmentation": False,
    "unfrozen_layers": 1,
}


def main() -> None:
    """Print the epochs per minute of both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--mode", default="torch")
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    _use_one_thread()
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(Path(folder), options.source, options.weights, options.mode)
        ratios = []
        for _ in range(options.runs):
            cached, frozen = bench.epochs_a_minute("cached"), bench.epochs_a_minute("frozen")
            ratios.append(cached / frozen)
            print(f"cached {cached:.1f}, frozen {frozen:.2f} epochs a minute: {ratios[-1]:.1f}")
    print(f"median of {options.runs}: {statistics.median(ratios):.1f} (target: 8 at least)")


def _use_one_thread() -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


class _Bench:
    """Both phases on one prepared set, warmed up: traced, and with features on disk."""

    def __init__(self, folder: Path, source: Path, weights: str, mode: str) -> None:
        import random

        from search.data import DataSettings, prepare
        from search.trainer.protocol import Task
        from search.training.phase import Phase
        from search.training.phase_plan import make_phase
        from spaces import SearchSpace
        from spaces.keras_models import build_optimizer
        from spaces.models.backbones import Weights

        data = prepare(DataSettings(source=str(source), image_size=96), folder)
        config = SearchSpace.create(["transfer"], SETTINGS).random_config(random.Random(0))
        task = Task(
            config=config.to_json(),
            data=str(data.path),
            fingerprint=data.fingerprint,
            checkpoint="",
            seed=1,
            max_epochs=10**6,
            patience=10**6,
            plateau_patience=10**6,
            plateau_factor=0.5,
            min_learning_rate=1e-6,
            weights={"source": weights, "mode": mode, "digest": Weights(weights).digest()},
            features=str(folder / "features"),
        )
        gentle = replace(config, network=replace(config.network, fine_tuning_rate=1.0))
        whole = make_phase(2, task, gentle, data, lambda *_: None)
        whole.model.get_layer("mobilenet_v2").trainable = False
        frozen = Phase(1, whole.model, whole.feed, build_optimizer(config), task)
        self._phases = {
            "cached": make_phase(1, task, config, data, lambda *_: None),
            "frozen": frozen,
        }
        for phase in self._phases.values():
            phase.train(1)
            phase.validate()

    def epochs_a_minute(self, kind: str) -> float:
        """Train and validate for a few epochs, and return the epochs per minute."""
        phase = self._phases[kind]
        start = time.perf_counter()
        for epoch in range(MIN_EPOCHS[kind]):
            phase.train(2 + epoch)
            phase.validate()
        return 60 * MIN_EPOCHS[kind] / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
