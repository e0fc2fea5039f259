"""How long the commands `--help`, `rank` and `status` take on a study of many trials.

python tests/benchmarks/command_speed.py [--trials 1000] [--runs 3]
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from fixed_trials import ROOT, timed
from optuna.trial import TrialState, create_trial

from spaces import SearchSpace
from storage import Store, create_study, load_optuna_study
from storage.tables import epochs, leases
from storage.trial_outcomes import Outcome


class Recorder:
    """A trial that draws at random and keeps Optuna's distribution of each parameter."""

    def __init__(self, rng: random.Random) -> None:
        import optuna

        self._trial = optuna.create_study(
            sampler=optuna.samplers.RandomSampler(seed=rng.randrange(2**31))
        ).ask()

    def __getattr__(self, name: str) -> object:
        return getattr(self._trial, name)


def fill(store: Store, n_trials: int) -> None:
    """Write complete trials with 20 epochs each, as a search would have left them."""
    rng = random.Random(0)
    space = SearchSpace.create(["plain"])
    record, _ = create_study(store, "large", settings="{}", n_trials=n_trials)
    study = load_optuna_study(store, "large")
    for _ in range(n_trials):
        recorder = Recorder(rng)
        config = space.suggest(recorder)  # type: ignore[arg-type]
        curve = [rng.random() for _ in range(20)]
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=max(curve),
                params=recorder._trial.params,
                distributions=recorder._trial.distributions,
                user_attrs={"config": config.to_json(), "parameters": rng.randrange(10**6)},
                intermediate_values=dict(enumerate(curve, start=1)),
            )
        )
    with store.write() as connection:
        for trial in study.get_trials(deepcopy=False):
            outcome = Outcome("complete", value=trial.value, metrics={"macro_auc": 0.9})
            connection.execute(
                leases.insert().values(
                    study_id=record.study_id, trial_id=trial._trial_id, trial_number=trial.number,
                    outcome=outcome.to_json(), kind="complete", told=True,
                )
            )  # fmt: skip
            connection.execute(
                epochs.insert(),
                [
                    {
                        "trial_id": trial._trial_id,
                        "epoch": step,
                        "val_accuracy": value,
                        "seconds": 1.0,
                    }
                    for step, value in trial.intermediate_values.items()
                ],
            )


def main() -> None:
    """Time each command as a whole process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        fill(Store.open(url), options.trials)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONVSEARCH_STORE": url}
        for arguments, target in (("--help", 0.5), ("rank large", 2.0), ("status large", 2.0)):
            command = [sys.executable, "-m", "search", *arguments.split()]
            times = [
                timed(
                    lambda command=command: subprocess.run(
                        command, env=environment, check=True, stdout=subprocess.DEVNULL
                    )
                )
                for _ in range(options.runs)
            ]
            print(
                f"convsearch {arguments}: median {statistics.median(times):.2f} s (under {target})"
            )


if __name__ == "__main__":
    main()
