"""Time of `report` and `rank` on a study of 200 trials, and the size of the report's page.

One network is trained, on the demo images; it is made the best of 199 more trials from the
default space, which are only recorded. Every run is a whole process; the first one computes the
winner's predictions for both splits, later ones read them.

    python tests/benchmarks/report_speed.py [--trials 200] [--runs 3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from fixed_trials import ROOT, timed
from large_study import fill

from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from search.trainer.pool import TrainerPool
from search.workers.worker import Worker
from storage import Store, load_trials, set_budget
from storage.optuna_schema.tables import values

NAME = "large"
BETTER_THAN_ALL = 0.99999


def make(url: str, n_trials: int) -> None:
    """Make the study."""
    plan = StudyPlan.model_validate(
        {
            "study": {"name": NAME, "workers": 1},
            "data": {"source": "demo"},
            "training": {"max_epochs": 4},
            "search": {"pruner": "none"},
            "budget": {"trials": 1},
            "store": {"url": url},
        }
    )
    store = submit(resolve_plan(plan)).store
    opened = OpenStudy.load(store, NAME)
    Worker(opened, TrainerPool()).run()
    (trained,) = (row for row in load_trials(store, opened.study_id) if row.value is not None)
    fill(opened, n_trials - 1)
    with store.write() as connection:
        is_it = values.c.trial_id == trained.trial_id
        connection.execute(sa.update(values).where(is_it).values(value=BETTER_THAN_ALL))
    set_budget(store, opened.study_id, n_trials=n_trials, timeout_s=None)
    store.close()


def delete_predictions(url: str) -> None:
    """Delete the winner's predictions, so that the next report computes them again."""
    store = Store.open(url)
    with store.write() as connection:
        connection.execute(sa.text("DELETE FROM convsearch_answers"))
    store.close()


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/store.db"
        make(url, options.trials)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONVSEARCH_STORE": url}

        def run(*arguments: str) -> float:
            command = [sys.executable, "-m", "search", *arguments]
            return timed(
                lambda: subprocess.run(
                    command, env=environment, check=True, stdout=subprocess.DEVNULL
                )
            )

        first, again, rank = [], [], []
        for number in range(options.runs):
            delete_predictions(url)
            first.append(run("report", NAME, "--out", f"{name}/first-{number}"))
            again.append(run("report", NAME, "--out", f"{name}/again-{number}"))
            rank.append(run("rank", NAME))
        size = (Path(name) / "first-0" / "report.html").stat().st_size
    print(f"report, {options.trials} trials: {statistics.median(first):.1f} s (target: 60)")
    print(f"report again: {statistics.median(again):.1f} s")
    print(f"rank: {statistics.median(rank):.2f} s (target: 1)")
    print(f"report.html: {size / 2**20:.1f} MB (target: 12)")


if __name__ == "__main__":
    main()
