"""What a pruner cost a study: its trials again without pruning, and the best accuracies of each.

Each trial that counts is trained again to its end under its number. The seed follows from the
number, so a trial that was not pruned has the same curve again.

    python tests/benchmarks/unpruned.py STORE_URL STUDY [--workers 2]
"""

import argparse
import tempfile
import time
from pathlib import Path

from fixed_trials import start_worker
from optuna.trial import TrialState

from analysis import rank
from search.settings.stored import StudySettings
from storage import Store, create_study, load_optuna_study


def main() -> None:
    """Train the trials again, and print both accuracies of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("study")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    store = Store.open(options.store)
    settings = StudySettings.load(store, options.study)
    before = {trial.trial: trial for trial in rank(store, options.study).counted}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "artifacts").mkdir()
        search = settings.search.model_copy(update={"pruner": "none"})
        settings = settings.model_copy(
            update={"search": search, "artifacts": str(folder / "artifacts")}
        )
        again = Store.open(f"sqlite:///{folder / 'store.db'}")
        create_study(again, "again", settings=settings.model_dump_json(), n_trials=len(before))
        study = load_optuna_study(again, "again")
        for number in range(max(before) + 1):
            study.enqueue_trial(dict(before[number].params) if number in before else {})
        for trial in study.get_trials():
            if trial.number not in before:
                study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        workers = [start_worker(folder, "again", n_threads=1) for _ in range(options.workers)]
        while any(worker.poll() is None for worker in workers):
            time.sleep(1)
        after = {trial.trial: trial for trial in rank(again, "again").counted}
    for number, trial in sorted(before.items()):
        print(
            f"trial {number}: {trial.state.lower()} with {trial.val_accuracy or 0:.4f} after "
            f"{trial.epochs} epochs; unpruned {after[number].val_accuracy or 0:.4f}"
        )
    best = max(after.values(), key=lambda trial: trial.val_accuracy or 0.0)
    print(
        f"best of the unpruned: trial {best.trial}, which was {before[best.trial].state.lower()}"
    )


if __name__ == "__main__":
    main()
