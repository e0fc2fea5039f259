"""A trial whose worker is killed resumes on another machine from its last checkpoint."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search.studies.open_study import OpenStudy
from storage import load_curve, load_trials

ROOT = Path(__file__).resolve().parents[3]
MAX_EPOCHS = 8


def join(url: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a worker process as on another machine: with its own folder and cache."""
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "search", "worker", "small", "--store", url],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "CONVSEARCH_CACHE": str(folder / "cache")},
        )  # fmt: skip


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.02)


@pytest.mark.slow
def test_trial_of_a_killed_worker_resumes_on_another_machine(
    make_study: Callable[..., OpenStudy], store_url: str, tmp_path: Path
) -> None:
    opened = make_study(
        store={"url": store_url, "artifacts": "database"},
        training={"max_epochs": MAX_EPOCHS, "patience": MAX_EPOCHS},
        budget={"trials": 1},
    )
    one, other = tmp_path / "one machine", tmp_path / "other machine"
    name = f"{opened.artifacts.name}/trial-0.0.safetensors"
    worker = join(store_url, one)

    def has_two_epochs_and_a_checkpoint() -> bool:
        rows = load_trials(opened.store, opened.study_id)
        is_sent = name in opened.artifacts.store.sizes(opened.artifacts.name)
        return is_sent and rows[0].curve.n_epochs >= 2

    wait_until(has_two_epochs_and_a_checkpoint, worker, one)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    (one / "cache").rename(tmp_path / "out of reach")
    (trial,) = load_trials(opened.store, opened.study_id)
    n_epochs = trial.curve.n_epochs
    assert 2 <= n_epochs < MAX_EPOCHS, "the worker was not killed in the middle"
    before = load_curve(opened.store, trial.trial_id)

    successor = join(store_url, other)
    successor.wait(timeout=240)
    log = (other / "log").read_text()
    assert successor.returncode == 0, log
    line = next(line for line in log.splitlines() if "resumes after epoch" in line)
    assert int(line.split()[-1]) >= n_epochs - 1
    curve = load_curve(opened.store, trial.trial_id)
    assert [row.epoch for row in curve] == list(range(1, MAX_EPOCHS + 1))
    assert curve[:n_epochs] == before
    (trial,) = load_trials(opened.store, opened.study_id)
    assert trial.state == "COMPLETE"
    assert trial.value == max(row.val_accuracy for row in curve)
