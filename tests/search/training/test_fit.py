"""The fit of one trial: exact resuming, early stopping, and the metrics of the best epoch."""

import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from search.data import PreparedSet
from search.trainer.protocol import Task
from search.training.fit import Fit
from search.training.phase import NotFiniteError
from search.training.phase_plan import make_phase
from spaces import Config, SearchSpace

ACTIVE = {
    "stages": 2,
    "convs": 1,
    "channels": 8,
    "kernel_size": 3,
    "pool": True,
    "pool_size": 2,
    "dense_layers": 1,
    "units": 32,
    "dropout": 0.4,
    "batch_normalization": True,
    "augmentation": True,
    "batch_size": 16,
}


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> Iterator[None]:
    tf.config.experimental.enable_op_determinism()
    yield
    tf.keras.backend.clear_session()


def draw_config(**narrowed: Any) -> Config:
    return SearchSpace.create(["plain"], {**ACTIVE, **narrowed}).random_config(random.Random(0))


def make_task(prepared: PreparedSet, checkpoint: Path, config: Config, **values: Any) -> Task:
    task = Task(
        config=config.to_json(),
        data=str(prepared.path),
        fingerprint=prepared.fingerprint,
        checkpoint=str(checkpoint),
        seed=5,
        max_epochs=6,
        patience=6,
        plateau_patience=1,
        plateau_factor=0.5,
        min_learning_rate=1e-6,
    )
    return replace(task, **values)


def curve(fit: Fit) -> list[dict[str, float]]:
    """Return all values of each epoch except time and memory."""
    rows = [asdict(row) for row in fit.history]
    return [{k: v for k, v in row.items() if k not in {"seconds", "memory_mb"}} for row in rows]


def train(fit: Fit, n_epochs: int = 100) -> Fit:
    while fit.has_next_epoch and len(fit.history) < n_epochs:
        fit.run_epoch()
    return fit


def test_images_count_in_the_loss_by_their_weights(
    prepared: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = draw_config(augmentation=False, dropout=0.0, regularizer="none", learning_rate=1e-4)
    losses = []
    for given in (None, 1 + prepared.labels("train").astype(np.float32)):
        monkeypatch.setattr(prepared, "train_weights", lambda given=given: given)
        fit = Fit(make_task(prepared, tmp_path / f"{len(losses)}", config), prepared)
        losses.append(fit.run_epoch().train_loss)
    for _, labels, weights in fit.phase.feed.batches(1):
        assert np.array_equal(weights, 1 + labels)
    assert losses[1] == pytest.approx(losses[0] * (1 + np.mean(prepared.labels("train"))), rel=0.2)
    assert losses[1] > 1.5 * losses[0]


OPTIMIZERS = ("adamw", "nadam", "rmsprop", "sgd")


@pytest.mark.parametrize(
    "optimizer", ["adam", *(pytest.param(it, marks=pytest.mark.slow) for it in OPTIMIZERS)]
)
def test_fit_interrupted_after_any_epoch_resumes_bit_for_bit(
    prepared: PreparedSet, tmp_path: Path, optimizer: str
) -> None:
    config = draw_config(optimizer=optimizer)
    whole = train(Fit(make_task(prepared, tmp_path / "whole", config), prepared))
    task = make_task(prepared, tmp_path / "parts", config)
    train(Fit(task, prepared), n_epochs=2)
    train(Fit(task, prepared), n_epochs=3)
    parts = train(Fit(task, prepared))
    assert len(whole.history) == 6
    assert curve(parts) == curve(whole)
    assert parts.confusion == whole.confusion
    for one, other in zip(parts.model.variables, whole.model.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())
    assert parts.finish() == replace(
        whole.finish(),
        metrics={**whole.finish().metrics, "seconds": parts.finish().metrics["seconds"]},
    )


@pytest.mark.slow
def test_augmentation_and_dropout_change_the_curve(prepared: PreparedSet, tmp_path: Path) -> None:
    """Without this the test above could pass with both disabled."""
    curves = [
        curve(train(Fit(make_task(prepared, tmp_path / str(i), draw_config(**off)), prepared), 1))
        for i, off in enumerate(({}, {"augmentation": False}, {"dropout": 0.0}))
    ]
    assert curves[0] != curves[1]
    assert curves[0] != curves[2]


def test_checkpoint_of_another_task_is_not_resumed(prepared: PreparedSet, tmp_path: Path) -> None:
    task = make_task(prepared, tmp_path / "one", draw_config())
    train(Fit(task, prepared), n_epochs=2)
    assert len(Fit(task, prepared).history) == 2
    for change in ({"seed": 6}, {"fingerprint": "other"}, {"max_epochs": 9}):
        assert Fit(replace(task, **change), prepared).history == []


@pytest.mark.slow
def test_fit_continues_without_checkpoints_and_saves_again_once_it_can(
    prepared: PreparedSet, tmp_path: Path
) -> None:
    (tmp_path / "closed").touch()  # A file in the place of the folder.
    task = make_task(prepared, tmp_path / "closed" / "one", draw_config(), max_epochs=3)
    fit = train(Fit(task, prepared), n_epochs=1)
    assert fit.save_error.endswith("closed/one: Not a directory")
    (tmp_path / "closed").unlink()
    train(fit, n_epochs=2)
    assert fit.save_error == ""
    elsewhere = replace(task, checkpoint="", resume_from=task.checkpoint)
    assert curve(train(Fit(elsewhere, prepared))) == curve(train(fit))
    nowhere = train(Fit(replace(task, checkpoint=""), prepared))
    assert curve(nowhere) == curve(fit)


def test_fit_stops_itself_when_validation_gets_no_better(
    prepared: PreparedSet, tmp_path: Path
) -> None:
    config = draw_config(optimizer="sgd", sgd_learning_rate=0.001, augmentation=False)
    task = make_task(prepared, tmp_path / "one", config, max_epochs=40, patience=2)
    fit = train(Fit(task, prepared))
    best = int(fit.finish().metrics["best_epoch"])
    assert len(fit.history) == best + 2 < 40
    assert fit.history[best - 1].val_accuracy == max(row.val_accuracy for row in fit.history)
    assert train(Fit(task, prepared)).history == fit.history


def test_learning_rate_falls_on_a_plateau(prepared: PreparedSet, tmp_path: Path) -> None:
    config = draw_config(optimizer="adam", learning_rate=0.01)
    fit = train(Fit(make_task(prepared, tmp_path / "one", config, max_epochs=12), prepared))
    rates = [row.learning_rate for row in fit.history]
    assert rates[0] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True)
    assert min(rates) < 0.01


def test_finish_measures_the_best_weights(prepared: PreparedSet, tmp_path: Path) -> None:
    fit = train(Fit(make_task(prepared, tmp_path / "one", draw_config()), prepared))
    finished = fit.finish()
    assert finished.value == max(row.val_accuracy for row in fit.history)
    assert fit.phase.validate().accuracy == finished.value
    assert fit.phase.validate().confusion == fit.confusion
    rows = [sum(row) for row in fit.confusion]
    assert rows == np.bincount(prepared.labels("val")).tolist()
    right = sum(fit.confusion[n][n] for n in range(prepared.n_classes))
    assert right / sum(rows) == pytest.approx(finished.value)
    assert 0 <= finished.metrics["balanced_accuracy"] <= 1
    assert 0 <= finished.metrics["macro_auc"] <= 1
    assert finished.metrics["parameters"] == fit.model.count_params()


def test_loss_that_is_not_finite_ends_the_fit(prepared: PreparedSet, tmp_path: Path) -> None:
    fit = Fit(make_task(prepared, tmp_path / "one", draw_config()), prepared)
    fit.model.optimizer.learning_rate = float("nan")
    with pytest.raises(NotFiniteError, match=r"became"):
        train(fit)


def test_training_is_measured_over_all_images_of_an_epoch(
    prepared: PreparedSet, tmp_path: Path
) -> None:
    config = draw_config()
    task = make_task(prepared, tmp_path / "checkpoint", config)
    phase = make_phase(1, task, config, prepared, lambda *_: None)
    seen: list[tuple[float, float, int]] = []
    train_on_batch = phase.model.train_on_batch

    def note(inputs: Any, labels: Any, **how: Any) -> Any:
        logs = train_on_batch(inputs, labels, **how)
        seen.append((float(logs["loss"]), float(logs["accuracy"]), len(labels)))
        return logs

    phase.model.train_on_batch = note
    found = phase.train(1)
    n_images = sum(n for _, _, n in seen)
    assert len(seen) > 1
    assert found["loss"] == pytest.approx(sum(loss * n for loss, _, n in seen) / n_images)
    assert found["accuracy"] == pytest.approx(sum(it * n for _, it, n in seen) / n_images)
    assert found["loss"] != pytest.approx(seen[-1][0], rel=1e-6)
