"""A trial's network, built again: it answers as its trainer did, here and in bare Keras."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.errors import TrialRecordError
from search.evaluation import answer, save_model
from search.open_study import OpenStudy
from search.training.pool import TrainerPool
from search.worker import Worker
from storage import load_trials

BARE = """
import keras, numpy as np
model = keras.models.load_model("best.keras", safe_mode=True)
np.save("answers.npy", model.predict(np.load("images.npy"), verbose=0))
"""


def test_answers_are_those_of_the_trainer_and_of_bare_keras(
    make_study: Callable[..., OpenStudy], tmp_path: Path
) -> None:
    opened = make_study(budget={"trials": 1}, search={"pruner": "none", "seed": 2})
    Worker(opened, TrainerPool()).run()
    (row,) = (row for row in load_trials(opened.store, opened.study_id) if row.value is not None)
    answers = answer(opened, row.number, "val")
    said = answers.probabilities.argmax(axis=1)
    assert (said == answers.labels).mean() == pytest.approx(row.value)
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)

    data = opened.data_of("plain")
    np.save(tmp_path / "images.npy", data.images("test"))
    save_model(opened, row.number, tmp_path / "best.keras")
    subprocess.run([sys.executable, "-P", "-c", BARE], cwd=tmp_path, check=True)
    ours = answer(opened, row.number, "test").probabilities
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), ours, atol=1e-5)

    checkpoint = opened.artifacts.load(row.number)
    assert checkpoint is not None
    checkpoint.write_bytes(b"broken")
    with pytest.raises(TrialRecordError, match="does not hold the weights of this trial"):
        answer(opened, row.number, "val")
    checkpoint.unlink()
    with pytest.raises(TrialRecordError, match="are not kept"):
        answer(opened, row.number, "val")
