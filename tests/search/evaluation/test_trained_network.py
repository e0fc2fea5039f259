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
from PIL import Image

from analysis import rank
from search.data.source_api import SPLITS
from search.errors import ModelError, TrialRecordError
from search.evaluation.trained_network import Evaluator
from search.exported_models.archive import RECORD, read_model_file
from search.exported_models.prediction import predict
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.worker import Worker
from tests.search.conftest import write_blobs

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


def best_of(opened: OpenStudy) -> tuple[int, float]:
    """Return the number and the value of the best trial."""
    ranking = rank(opened.store, opened.name)
    best = ranking.counted[0]
    assert best.val_accuracy is not None
    return best.trial, best.val_accuracy


def test_predictions_are_those_of_the_trainer_and_of_bare_keras(
    trained: OpenStudy, tmp_path: Path
) -> None:
    number, value = best_of(trained)
    with Evaluator(trained, number) as network:
        predictions = network.predict("val")
        ours = network.predict("test").probabilities
        network.save_model(tmp_path / "best.keras")
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

    np.save(tmp_path / "images.npy", trained.data_of("plain").images("test"))
    subprocess.run([sys.executable, "-P", "-c", BARE], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), ours, atol=1e-6)


@pytest.mark.usefixtures("warm_trainer")
def test_model_records_its_origin_and_nothing_personal(trained: OpenStudy, tmp_path: Path) -> None:
    number, value = best_of(trained)
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "best.keras").write_text("an earlier one")
    (folder / "best.json").write_text("its record")
    with Evaluator(trained, number) as network:
        network.save_model(folder / "best.keras")
    assert sorted(path.name for path in folder.iterdir()) == ["best.json", "best.keras"]
    facts = read_model_file(folder / "best.keras")
    record = json.loads((folder / "best.json").read_text())
    assert facts.model_dump(mode="json") == record
    assert record["classes"] == list(trained.data_of("plain").classes)
    assert (record["study"], record["trial"], record["family"]) == ("small", number, "plain")
    assert record["image_shape"] == [16, 16, 1]
    assert record["pixels"] == "0 to 255, grey (16, 16, 1)"
    assert record["val_accuracy"] == value
    assert record["fingerprint"] == trained.data_of("plain").fingerprint
    assert {"convsearch", "keras", "tensorflow"} <= set(record["versions"])
    with zipfile.ZipFile(folder / "best.keras") as archive:
        assert json.loads(archive.read(RECORD)) == record
        everything = b"".join(archive.read(name) for name in archive.namelist())
    host = socket.gethostname()
    names = [host] if len(host) > 4 else []  # Weights may have any few bytes.
    for personal in (str(tmp_path), "blobs", *names):
        assert personal.encode() not in everything


def test_failed_export_leaves_no_partial_file_and_keeps_the_old_model(
    trained: OpenStudy, tmp_path: Path
) -> None:
    network = Evaluator(trained, best_of(trained)[0])
    with pytest.raises(ModelError, match=r"Cannot write .*best\.keras: No such file"):
        network.save_model(tmp_path / "nowhere" / "best.keras")
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "best.keras").write_text("an earlier one")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # Like a full disk.
    try:
        with network, pytest.raises(ModelError, match=r"Cannot write .*best\.keras: File too"):
            network.save_model(folder / "best.keras")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in folder.iterdir()] == ["best.keras"]
    assert (folder / "best.keras").read_text() == "an earlier one"


@pytest.mark.usefixtures("warm_trainer")
def test_missing_weights_are_an_error(trained: OpenStudy) -> None:
    number, _ = best_of(trained)
    checkpoint = trained.artifacts.load(number)
    assert checkpoint is not None
    checkpoint.write_bytes(b"broken")
    message = "does not hold the weights of this trial"
    with (
        Evaluator(trained, number) as network,
        pytest.raises(TrialRecordError, match=message),
    ):
        network.predict("val")
    checkpoint.unlink()
    with pytest.raises(TrialRecordError, match="are not kept"):
        Evaluator(trained, number).predict("val")


@pytest.mark.slow
@pytest.mark.usefixtures("warm_trainer")
@pytest.mark.parametrize(
    ("scale", "dtype", "first_label"),
    [(40, np.uint16, "text"), (1, np.int64, 5), (1 / 255, np.float32, 0)],
    ids=["12 bits and text", "int64 from 5", "fractions"],
)
def test_files_of_a_trained_array_are_predicted_as_in_training(
    make_study: Callable[..., OpenStudy],
    tmp_path: Path,
    scale: float,
    dtype: type,
    first_label: int | str,
) -> None:
    source = write_blobs(tmp_path / "blobs.npz", n=24, n_classes=2)
    images, labels = (np.load(source)[key] for key in ("images", "labels"))
    pictures = images // (2 + np.arange(24, dtype=np.uint8) % 3)[:, None, None] + 20
    names = np.array(["cat", "dog"]) if first_label == "text" else np.arange(2) + first_label
    np.savez(source, images=(pictures * scale).astype(dtype), labels=names[labels])
    study = make_study(budget={"trials": 1}, training={"max_epochs": 1})
    Worker(study, TrainerPool()).run()
    with Evaluator(study, best_of(study)[0]) as network:
        expected = [network.predict(split).probabilities for split in SPLITS]
        network.save_model(tmp_path / "best.keras")
    for number, picture in enumerate(pictures):
        pixels = (picture * 40).astype(np.uint16) if dtype == np.uint16 else picture
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    found = predict(tmp_path / "best.keras", [tmp_path / f"{n}.png" for n in range(24)])
    assert found.facts.classes == tuple(map(str, names))
    said = np.array([list(it.probabilities.values()) for it in found.images])
    for row in said:
        assert np.abs(np.concatenate(expected) - row).max(axis=1).min() < 1e-6
