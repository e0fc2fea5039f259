"""The memory of a trainer: networks that it has trained are freed."""

import gc
from pathlib import Path

import pytest
import tensorflow as tf

from search.data import PreparedSet
from search.trainer.protocol import Task
from search.training.fit import Fit
from spaces import SearchSpace
from spaces.parameters.stub_trials import PreferredTrial


def count_graphs() -> int:
    """Count the graphs of training steps that are still in memory."""
    return sum(
        isinstance(it, tf.Graph) and getattr(it, "name", "") == "one_step_on_data"
        for it in gc.get_objects()
    )


@pytest.mark.slow
def test_graphs_of_trained_networks_are_freed(prepared: PreparedSet, tmp_path: Path) -> None:
    space = SearchSpace.create(["plain"], {"stages": 1, "convs": 1, "pool": False, "channels": 8})
    config = space.suggest(PreferredTrial({}))
    before = count_graphs()
    for number in range(3):
        task = Task(
            config=config.to_json(), data=str(prepared.path), fingerprint="",
            checkpoint=str(tmp_path / str(number)), seed=number, max_epochs=1, patience=1,
            plateau_patience=1, plateau_factor=0.5, min_learning_rate=0.0,
        )  # fmt: skip
        fit = Fit(task, prepared)
        fit.run_epoch()
        assert count_graphs() > before
        del fit
        tf.keras.backend.clear_session()
        gc.collect()
    assert count_graphs() <= before
