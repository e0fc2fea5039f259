"""What benchmarks share: studies whose trials are a fixed list, and workers that run them."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_SOURCE = ROOT.parent / "shared" / "data" / "brainmri_64.npz"
Params = Mapping[str, Any]

BASE: Params = {
    "head": "flatten",
    "dense_layers": 1,
    "dense1_units": 64,
    "kernel_initializer": "he_normal",
    "bias_initializer": "he_uniform",
    "activation": "relu",
    "batch_normalization": True,
    "dropout": 0.2,
    "regularizer": "none",
    "batch_size": 32,
    "augmentation": False,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "adam_beta_1": 0.9,
}


def make_params(*channels: int, n_convs: int = 1, **others: Any) -> dict[str, Any]:
    """Return the parameters of a `plain` network with one stage per number of channels."""
    params = {**BASE, "stages": len(channels)}
    for number, width in enumerate(channels, start=1):
        params |= {
            f"stage{number}_convs": n_convs,
            f"stage{number}_channels": width,
            f"stage{number}_kernel_size": 3,
            f"stage{number}_pool": True,
            f"stage{number}_pool_size": 2,
        }
    return params | others


def make_study(
    folder: Path, params: Sequence[Params], *, source: Path | str, max_epochs: int, name: str
) -> OpenStudy:
    """Make a study in a folder that trains exactly these trials, each for all of its epochs."""
    plan = StudyPlan.model_validate(
        {
            "study": {"name": name, "workers": 1},
            "data": {"source": str(source)},
            "space": {"families": ["plain"]},
            "training": {"max_epochs": max_epochs, "patience": max_epochs},
            "search": {"pruner": "none", "max_operations": 1000},
            "budget": {"trials": len(params)},
            "store": {"url": f"sqlite:///{folder / 'store.db'}"},
        }
    )
    opened = make_empty_study(plan)
    for values in params:
        opened.study.enqueue_trial(dict(values))
    return opened


def make_empty_study(plan: StudyPlan) -> OpenStudy:
    """Make a study without the known-good configs that `submit` enqueues."""
    submission = submit(resolve_plan(plan))
    opened = OpenStudy.load(submission.store, submission.record.name)
    for trial in opened.study.get_trials(states=(TrialState.WAITING,)):
        opened.study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    return opened


def start_worker(folder: Path, name: str, *, n_threads: int) -> subprocess.Popen[bytes]:
    """Start a worker process on the study."""
    command = [sys.executable, "-m", "search", "worker", name, "--threads", str(n_threads)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CONVSEARCH_STORE": f"sqlite:///{folder / 'store.db'}",
    }
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def finish_times(opened: OpenStudy) -> list[float]:
    """Return the end times of the complete trials in seconds since 1970, sorted."""
    trials = opened.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)


def print_ratios(what: str, pairs: Sequence[tuple[float, float]], *, target: str) -> None:
    """Print the ratio of each interleaved pair, and their median."""
    ratios = [one / other for one, other in pairs]
    for number, ((one, other), ratio) in enumerate(zip(pairs, ratios, strict=True), start=1):
        print(f"run {number}: {one:.2f} s / {other:.2f} s = {ratio:.3f}", flush=True)
    print(f"{what}: median ratio {statistics.median(ratios):.3f} (target: {target})")


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
