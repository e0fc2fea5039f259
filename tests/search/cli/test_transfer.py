"""A study of two image sets through real workers, killed in either phase of its transfer trial."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
STUDY = """
[study]
name = "both"
workers = 1
[data]
source = "blobs.npz"
image_size = 16
[transfer]
image_size = 32
weights = "none"
[space]
families = ["plain", "transfer"]
backbone = "mobilenet"
stages = 1
convs = 1
channels = 8
batch_size = 16
dense_layers = 0
unfrozen_layers = 2
[training]
max_epochs = 8
patience = 8
[search]
pruner = "none"
seed = 4
[budget]
trials = 2
"""


def start(folder: Path) -> subprocess.Popen[str]:
    (folder / "study.toml").write_text(STUDY)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CONVSEARCH_CACHE": str(folder.parent / "cache"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "search", "run", "study.toml", "--json"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    trials: list[dict[str, Any]] = json.loads(out)["trials"]
    return [{k: v for k, v in trial.items() if k != "seconds"} for trial in trials]


def kill_in_phase(process: subprocess.Popen[str], folder: Path, phase: int) -> None:
    """Kill the run with its worker and trainer once a phase has two epochs."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if _n_epochs(folder, phase) >= 2:
            process.kill()
            process.communicate()
            return
        time.sleep(0.1)
    pytest.fail(f"no two epochs of phase {phase} in five minutes")


def _n_epochs(folder: Path, phase: int) -> int:
    """Return the number of epochs of the transfer trial in a phase."""
    if not (folder / "convsearch.db").exists():
        return 0
    query = (
        "SELECT count(*) FROM convsearch_epochs e JOIN trial_user_attributes a "
        "ON a.trial_id = e.trial_id AND a.key = 'config' "
        "WHERE a.value_json LIKE '%\"transfer\"%' AND e.phase = ?"
    )
    with sqlite3.connect(folder / "convsearch.db", timeout=30) as connection:
        try:
            return int(connection.execute(query, (phase,)).fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.mark.slow
def test_study_killed_in_both_phases_has_the_same_results(blobs: Path, tmp_path: Path) -> None:
    results = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "blobs.npz").write_bytes(blobs.read_bytes())
        if name == "killed":
            for phase in (1, 2):
                kill_in_phase(start(folder), folder, phase)
        results.append(finish(start(folder)))
    assert results[0] == results[1]
    by_family = {trial["family"]: trial for trial in results[1]}
    assert by_family["transfer"]["epochs"] == 16
    assert by_family["plain"]["epochs"] == 8
    with sqlite3.connect(tmp_path / "killed" / "convsearch.db") as connection:
        phases = connection.execute(
            "SELECT phase, count(*) FROM convsearch_epochs GROUP BY phase ORDER BY phase"
        ).fetchall()
    assert phases == [(1, 16), (2, 8)]
