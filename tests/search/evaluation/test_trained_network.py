"""A trial's network, rebuilt: it predicts what its trainer did, here and in bare Keras."""

import json
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.errors import ModelError, TrialRecordError
from search.evaluation.trained_network import Evaluator
from search.exported_models.archive import RECORD, read_model_file
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.trainer.predictions import SplitPredictions
from search.workers.worker import Worker
from storage import load_trials

BARE = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import keras, numpy as np
model = keras.models.load_model("best.keras", safe_mode=True)
answers = model.predict_on_batch(np.load("images.npy")).astype("float64")
np.save("answers.npy", answers / answers.sum(axis=1, keepdims=True))
loaded = {name.partition(".")[0] for name in sys.modules}
ours = {"search", "spaces", "storage", "analysis"} & loaded
assert not ours, ours
"""


def predict(opened: OpenStudy, number: int, split: str) -> SplitPredictions:
    with Evaluator(opened, number) as network:
        return network.predict(split)


def save_model(opened: OpenStudy, number: int, path: Path) -> None:
    with Evaluator(opened, number) as network:
        network.save_model(path)


@pytest.fixture
def trained(make_study: Callable[..., OpenStudy]) -> tuple[OpenStudy, int, float]:
    """A study with one trained trial, its number and its value."""
    opened = make_study(budget={"trials": 1}, search={"pruner": "none", "seed": 2})
    Worker(opened, TrainerPool()).run()
    (row,) = (row for row in load_trials(opened.store, opened.study_id) if row.value is not None)
    assert row.value is not None
    return opened, row.number, row.value


def test_predictions_are_those_of_the_trainer_and_of_bare_keras(
    trained: tuple[OpenStudy, int, float], tmp_path: Path
) -> None:
    opened, number, value = trained
    predictions = predict(opened, number, "val")
    said = predictions.probabilities.argmax(axis=1)
    is_right = said == predictions.labels
    assert is_right.mean() == pytest.approx(value)
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1)
    mistakes = min(12, int((~is_right).sum()))
    assert predictions.split == "val"
    assert predictions.heat.shape == (len(predictions.heat_images), 16, 16)
    assert not is_right[predictions.heat_images[:mistakes]].any()
    right = predictions.heat_images[mistakes:]
    assert predictions.labels[right].tolist() == sorted(set(predictions.labels[is_right].tolist()))
    assert predictions.heat.max() == 255

    data = opened.data_of("plain")
    np.save(tmp_path / "images.npy", data.images("test"))
    save_model(opened, number, tmp_path / "best.keras")
    subprocess.run([sys.executable, "-P", "-c", BARE], cwd=tmp_path, check=True)
    ours = predict(opened, number, "test").probabilities
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), ours, atol=1e-6)


def test_model_records_its_origin_and_nothing_personal(
    trained: tuple[OpenStudy, int, float], tmp_path: Path
) -> None:
    opened, number, value = trained
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "best.keras").write_text("an earlier one")
    (folder / "best.json").write_text("its record")
    save_model(opened, number, folder / "best.keras")
    assert sorted(path.name for path in folder.iterdir()) == ["best.json", "best.keras"]
    facts = read_model_file(folder / "best.keras")
    record = json.loads((folder / "best.json").read_text())
    assert facts.model_dump(mode="json") == record
    assert record["classes"] == list(opened.data_of("plain").classes)
    assert (record["study"], record["trial"], record["family"]) == ("small", number, "plain")
    assert record["image_shape"] == [16, 16, 1]
    assert record["pixels"] == "0 to 255, grey (16, 16, 1)"
    assert record["val_accuracy"] == value
    assert record["fingerprint"] == opened.data_of("plain").fingerprint
    assert {"convsearch", "keras", "tensorflow"} <= set(record["versions"])
    with zipfile.ZipFile(folder / "best.keras") as archive:
        assert json.loads(archive.read(RECORD)) == record
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for personal in (str(tmp_path), "blobs", socket.gethostname()):
        assert personal.encode() not in everything


def test_failed_export_leaves_no_partial_file_and_keeps_the_old_model(
    trained: tuple[OpenStudy, int, float], tmp_path: Path
) -> None:
    opened, number, _ = trained
    with pytest.raises(ModelError, match=r"Cannot write .*best\.keras: No such file"):
        save_model(opened, number, tmp_path / "nowhere" / "best.keras")
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "best.keras").write_text("an earlier one")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # Like a full disk.
    try:
        with pytest.raises(ModelError, match=r"Cannot write .*best\.keras: File too large"):
            save_model(opened, number, folder / "best.keras")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in folder.iterdir()] == ["best.keras"]
    assert (folder / "best.keras").read_text() == "an earlier one"


def test_missing_weights_are_an_error(trained: tuple[OpenStudy, int, float]) -> None:
    opened, number, _ = trained
    checkpoint = opened.artifacts.load(number)
    assert checkpoint is not None
    checkpoint.write_bytes(b"broken")
    with pytest.raises(TrialRecordError, match="does not hold the weights of this trial"):
        predict(opened, number, "val")
    checkpoint.unlink()
    with pytest.raises(TrialRecordError, match="are not kept"):
        predict(opened, number, "val")
