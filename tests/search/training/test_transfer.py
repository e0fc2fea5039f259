"""Transfer in two phases: a head on cached features, then fine-tuning, and exact resuming."""

import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from search.data import DataSettings, PreparedSet, prepare
from search.trainer.protocol import Task
from search.training import feature_cache
from search.training.evaluate import rebuild
from search.training.feature_cache import N_PASSES, Features
from search.training.fit import Fit
from search.training.phase import assign_state, predict_in_batches
from spaces import Config, SearchSpace, predict_cost
from spaces.keras_models import build_model
from spaces.models.backbones import RANDOM_WEIGHTS
from tests.search.conftest import write_blobs

SIZE = 32
BACKBONE = "mobilenet"  # The one with the fewest layers that has batch normalization.
ACTIVE = {
    "backbone": BACKBONE,
    "unfrozen_layers": 3,
    "fine_tuning_rate": 0.1,
    "dense_layers": 1,
    "units": 32,
    "dropout": 0.3,
    "batch_size": 16,
    "optimizer": "adam",
    "augmentation": False,
}


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> Iterator[None]:
    tf.config.experimental.enable_op_determinism()
    yield
    tf.keras.backend.clear_session()


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the images and of features that tests share."""
    return tmp_path_factory.mktemp("transfer")


@pytest.fixture(scope="module")
def larger(module_folder: Path) -> PreparedSet:
    """The set `blobs`, in images as large as a backbone needs."""
    blobs = write_blobs(module_folder / "blobs.npz")
    return prepare(DataSettings(source=str(blobs), image_size=SIZE), module_folder / "cache")


def draw_config(**narrowed: Any) -> Config:
    space = SearchSpace.create(["transfer"], {**ACTIVE, **narrowed})
    return space.random_config(random.Random(0))


def make_task(data: PreparedSet, folder: Path, name: str, config: Config, **values: Any) -> Task:
    """Return a task; features are those that all tests share, unless `values` name a folder."""
    task = Task(
        config=config.to_json(),
        data=str(data.path),
        fingerprint=data.fingerprint,
        checkpoint=str(folder / name),
        seed=5,
        max_epochs=2,
        patience=2,
        plateau_patience=1,
        plateau_factor=0.5,
        min_learning_rate=1e-6,
        weights={"source": "none", "mode": None, "digest": "none"},
        features=str(Path(data.path).parents[1] / "features"),
    )
    return replace(task, **values)


def train(fit: Fit, n_epochs: int = 100) -> Fit:
    while fit.has_next_epoch and len(fit.history) < n_epochs:
        fit.run_epoch()
    return fit


def curve(fit: Fit) -> list[dict[str, float]]:
    rows = [asdict(row) for row in fit.history]
    return [{k: v for k, v in row.items() if k not in {"seconds", "memory_mb"}} for row in rows]


@pytest.mark.slow
def test_fit_interrupted_in_either_phase_resumes_bit_for_bit(
    larger: PreparedSet, tmp_path: Path
) -> None:
    config = draw_config(augmentation=True)
    whole = train(Fit(make_task(larger, tmp_path, "whole", config), larger))
    task = make_task(larger, tmp_path, "parts", config)
    for n_epochs in (1, 2, 3):
        train(Fit(task, larger), n_epochs)
    parts = train(Fit(task, larger))
    assert [row.phase for row in whole.history] == [1, 1, 2, 2]
    assert curve(parts) == curve(whole)
    for name, array in whole.phase.trained_state().items():
        assert np.array_equal(parts.phase.trained_state()[name], array), name


def test_second_phase_begins_with_the_best_head_at_a_lower_rate(
    larger: PreparedSet, tmp_path: Path
) -> None:
    config = draw_config(fine_tuning_rate=0.25)
    fit = train(Fit(make_task(larger, tmp_path, "one", config), larger), n_epochs=2)
    assert fit.best is not None
    head = fit.best.trained_state
    fit._begin_next_phase()
    trained_state = fit.phase.trained_state()
    assert all(np.array_equal(trained_state[name], array) for name, array in head.items())
    assert len(trained_state) > len(head), "the top of the backbone is not trained"
    rate = config.optimizer.learning_rate
    assert fit.phase.learning_rate == pytest.approx(0.25 * rate)


def test_head_on_features_predicts_the_same_as_the_whole_network(
    larger: PreparedSet, tmp_path: Path
) -> None:
    config = draw_config()
    fit = train(Fit(make_task(larger, tmp_path, "one", config), larger), n_epochs=2)
    on_features, head = fit.phase.predict(), fit.phase.trained_state()
    fit._begin_next_phase()
    assign_state(fit.model, head)
    np.testing.assert_allclose(fit.phase.predict(), on_features, atol=1e-4)


@pytest.mark.slow
def test_best_epoch_of_the_first_phase_is_measured_on_its_head(
    larger: PreparedSet, tmp_path: Path
) -> None:
    fit = train(Fit(make_task(larger, tmp_path, "one", draw_config()), larger), n_epochs=2)
    assert fit.best is not None
    best = fit.best
    train(fit)
    fit.best = best
    finished = fit.finish()
    assert finished.value == best.accuracy
    assert finished.metrics["best_epoch"] == best.epoch
    assert fit.phase.number == 1
    assert fit.phase.validate().accuracy == best.accuracy
    assert finished.metrics["parameters"] == whole_model(fit.config, larger).count_params()


@pytest.mark.parametrize("n_epochs", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_network_is_built_again_from_either_phase(
    larger: PreparedSet, tmp_path: Path, n_epochs: int
) -> None:
    task = make_task(larger, tmp_path, "one", draw_config())
    fit = train(Fit(task, larger), n_epochs)
    assert fit.best is not None
    fit.finish()
    again = rebuild(task, larger).predict_on_batch(larger.images("val"))
    np.testing.assert_allclose(again, fit.phase.predict(), atol=1e-4)


def whole_model(config: Config, data: PreparedSet) -> Any:
    return build_model(
        config, data.image_shape, data.n_classes, seed=0, mean=data.mean, std=data.std
    )


@pytest.mark.slow
def test_checkpoint_contains_no_frozen_weights(larger: PreparedSet, tmp_path: Path) -> None:
    config = draw_config(unfrozen_layers=1)
    task = make_task(larger, tmp_path, "one", config)
    train(Fit(task, larger))
    cost = predict_cost(config, larger.image_shape, larger.n_classes)
    copies = 4  # The network, the best one, and Adam's two moments.
    assert Path(task.checkpoint).stat().st_size < 4 * copies * cost.trainable_parameters + 50_000
    assert cost.trainable_parameters < cost.parameters / 3


def test_features_are_computed_once_and_shared(
    larger: PreparedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    mine = {"features": str(tmp_path / "features")}
    task = make_task(larger, tmp_path, "one", draw_config(), **mine)
    Fit(task, larger, lambda done, total: seen.append((done, total)))
    assert seen == [(0, larger.counts["train"]), (0, larger.counts["val"])]

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(feature_cache, "build_extractor", refuse)
    other = draw_config(units=64, optimizer="sgd")
    Fit(make_task(larger, tmp_path, "two", other, seed=6, **mine), larger)
    for change in ({"backbone": "mobilenet_v2"}, {"augmentation": True}):
        task = make_task(larger, tmp_path, "three", draw_config(**change), **mine)
        with pytest.raises(AssertionError, match="computed again"):
            Fit(task, larger)


def test_augmented_epochs_alternate_among_a_few_passes(
    larger: PreparedSet, tmp_path: Path
) -> None:
    mine = {"features": str(tmp_path / "features")}
    task = make_task(larger, tmp_path, "one", draw_config(augmentation=True), **mine)
    fit = Fit(task, larger)
    files = sorted(path.name for path in (tmp_path / "features").glob("*.npy"))
    assert len(files) == N_PASSES + 1
    firsts = [next(fit.phase.feed.batches(epoch)) for epoch in range(1, N_PASSES + 1)]
    again = Features(tmp_path / "features", larger, BACKBONE, RANDOM_WEIGHTS, lambda *_: None)
    passes = [again.maps("train", number) for number in range(1, N_PASSES + 1)]
    assert not np.array_equal(passes[0], passes[1])
    for (maps, labels, _), whole in zip(firsts, passes, strict=True):
        rows = [np.flatnonzero((whole == one).all(axis=(1, 2, 3)))[0] for one in maps]
        assert np.array_equal(larger.labels("train")[rows], labels)


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_damaged_features_are_computed_again(
    larger: PreparedSet, tmp_path: Path, damage: str
) -> None:
    def load() -> Features:
        return Features(tmp_path, larger, BACKBONE, RANDOM_WEIGHTS, lambda *_: None)

    maps = np.array(load().maps("val"))
    (path,) = tmp_path.glob("*.npy")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "other":
        np.save(path, np.zeros((3, 3)))
    else:
        path.write_bytes(b"")
    assert np.array_equal(load().maps("val"), maps)


def test_features_are_the_backbones_output_for_the_images(
    larger: PreparedSet, tmp_path: Path
) -> None:
    found = Features(tmp_path, larger, BACKBONE, RANDOM_WEIGHTS, lambda *_: None)
    extractor = feature_cache.build_extractor(BACKBONE, larger.image_shape, RANDOM_WEIGHTS)
    wanted = predict_in_batches(extractor, larger.images("val"), 32)
    np.testing.assert_array_equal(found.maps("val"), wanted)
