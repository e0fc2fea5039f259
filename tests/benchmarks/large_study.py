"""Time of what a worker does between trials, on a study of 5,000 trials.

The trials are from the default space, with up to 20 epochs each, and are written in bulk.
`command_speed.py` times commands on such a study.

    python tests/benchmarks/large_study.py [--store sqlite|postgresql] [--trials 5000] [--runs 3]
"""

import argparse
import json
import os
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from crowd import METRICS, fresh_url, make_ours
from fixed_trials import timed
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState

from analysis import load_status, rank
from search.strategy.family_quota import next_family
from search.studies.open_study import OpenStudy
from search.workers.proposals import next_proposal
from storage import (
    EpochRow,
    Store,
    count_done,
    finish_trial,
    last_outcomes,
    list_trials_to_keep,
    load_study,
    longest_epoch_s,
    record_epoch,
    recover,
    register_worker,
    send_heartbeat,
)
from storage.optuna_schema import tables as optuna_tables
from storage.optuna_schema.tables import utc_now
from storage.tables import epochs, leases
from storage.trial_outcomes import Outcome, OutcomeKind

N_EPOCHS = 20
NAME = "crowd"


@dataclass
class Recorder:
    """A trial that draws at random and keeps the distribution of each parameter."""

    rng: random.Random
    drawn: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)

    def _keep(self, name: str, value: Any, distribution: BaseDistribution) -> Any:
        self.drawn[name] = (distribution.to_internal_repr(value), distribution)
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._keep(name, self.rng.choice(choices), CategoricalDistribution(choices))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> Any:
        value = self.rng.randrange(low, high + 1, step)
        return self._keep(name, value, IntDistribution(low, high, step=step, log=log))

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> Any:
        distribution = FloatDistribution(low, high, **how)
        value = low if how.get("step") else self.rng.uniform(low, high)
        return self._keep(name, value, distribution)


ENDS: dict[OutcomeKind, tuple[float, str]] = {
    "complete": (0.55, ""),
    "pruned": (0.3, ""),
    "unfit": (0.03, "Its loss was not finite at epoch 2."),
    "rejected": (0.06, "It would need 5,123 MB of memory; the limit is 2,048 MB."),
    "repeat": (0.03, "The same configuration as trial 12."),
    "fail": (0.03, "ResourceExhaustedError: out of memory while allocating a tensor of 1.2 GB"),
}
"""How often a trial ends in each way, and why."""


def draw_end(rng: random.Random) -> tuple[Outcome, list[float]]:
    """Draw how a trial ended, and its curve of validation accuracies."""
    (kind,) = rng.choices(list(ENDS), [share for share, _ in ENDS.values()])
    most = {"complete": N_EPOCHS, "rejected": 0, "repeat": 0}.get(kind, rng.randrange(1, N_EPOCHS))
    curve = [rng.random() for _ in range(most)]
    names = (*METRICS, "macro_auc") if kind == "complete" else ()
    value = max(curve) if kind in {"complete", "pruned"} else None
    return Outcome(kind, ENDS[kind][1], value, {name: rng.random() for name in names}), curve


def fill(opened: OpenStudy, n_trials: int) -> None:
    """Write trials as a search would have left them: they end in all ways, most complete."""
    rng = random.Random(0)
    rows: dict[sa.FromClause, list[dict[str, Any]]] = {}

    def add(table: sa.FromClause, **values: Any) -> None:
        rows.setdefault(table, []).append(values)

    with opened.store.write() as connection:
        first = 1 + (
            connection.scalar(sa.select(sa.func.max(optuna_tables.trials.c.trial_id))) or 0
        )
        number = connection.scalar(sa.select(sa.func.count()).select_from(optuna_tables.trials))
        for trial_id in range(first, first + n_trials):
            recorder = Recorder(rng)
            config = opened.space.suggest(recorder)  # type: ignore[arg-type]
            outcome, curve = draw_end(rng)
            add(
                optuna_tables.trials,
                trial_id=trial_id,
                number=number,
                study_id=opened.study_id,
                state=outcome.state,
                datetime_start=utc_now(),
                datetime_complete=utc_now(),
            )
            if outcome.value is not None:
                add(
                    optuna_tables.values,
                    trial_id=trial_id,
                    objective=0,
                    value=outcome.value,
                    value_type="FINITE",
                )
            for name, (value, distribution) in recorder.drawn.items():
                add(
                    optuna_tables.params,
                    trial_id=trial_id,
                    param_name=name,
                    param_value=value,
                    distribution_json=distribution_to_json(distribution),
                )
            attributes: dict[str, Any] = {"config": config.to_json(), **outcome.metrics}
            if curve:
                attributes |= {
                    "max_epochs": N_EPOCHS,
                    "parameters": rng.randrange(10**6),
                    "ran_on": ["a computer, processor"],
                }
            if outcome.kind == "complete":
                attributes["confusion"] = [
                    [rng.randrange(100) for _ in range(3)] for _ in range(3)
                ]
            for key, value in attributes.items():
                add(
                    optuna_tables.user_attributes,
                    trial_id=trial_id,
                    key=key,
                    value_json=json.dumps(value),
                )
            add(
                optuna_tables.system_attributes,
                trial_id=trial_id,
                key="constraints:size",
                value_json="-0.5",
            )
            for epoch, accuracy in enumerate(curve, start=1):
                add(
                    optuna_tables.reports,
                    trial_id=trial_id,
                    step=epoch,
                    intermediate_value=max(curve[:epoch]),
                    intermediate_value_type="FINITE",
                )
                add(
                    epochs,
                    trial_id=trial_id,
                    epoch=epoch,
                    train_loss=rng.random(),
                    train_accuracy=rng.random(),
                    val_loss=rng.random(),
                    val_accuracy=accuracy,
                    learning_rate=1e-3,
                    seconds=rng.uniform(1, 9),
                    memory_mb=rng.uniform(500, 900),
                )
            add(
                leases,
                study_id=opened.study_id,
                trial_id=trial_id,
                trial_number=number,
                outcome=outcome.to_json(),
                kind=outcome.kind,
                counts=outcome.counts,
                told=True,
                ended_at=1e9 + trial_id,
                config_key=config.key(),
            )
            number += 1
        for table, values in rows.items():
            connection.execute(sa.insert(table), values)
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(
                f"SELECT setval('trials_trial_id_seq', {first + n_trials})"
            ))  # fmt: skip


def make(url: str, folder: Path, n_trials: int, *, name: str = NAME) -> None:
    """Make a study of the sampler TPE and the default pruner, with half of its budget done."""
    make_ours(url, folder, 2 * n_trials, sampler="tpe", pruner="auto", name=name)
    opened = OpenStudy.load(Store.open(url), name)
    for trial in opened.study.get_trials(states=(TrialState.WAITING,)):
        opened.study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    fill(opened, n_trials)
    opened.store.close()


def show(what: str, run: Callable[[], Any], n_runs: int) -> None:
    """Print how long a call takes the first time, and how long later."""
    first, *later = (timed(run) for _ in range(1 + n_runs))
    print(f"{what}: first {1000 * first:.0f} ms, then {1000 * statistics.median(later):.0f} ms")


def time_worker(url: str, n_runs: int) -> None:
    """Time the store calls of a worker, on its first trial and on later ones."""
    store = Store.open(url)
    opened = OpenStudy.load(store, NAME)
    worker_id, study_id = register_worker(store, opened.study_id), opened.study_id
    asked: list[Any] = []

    def ask() -> None:
        asked.append(next_proposal(opened, worker_id))

    def end() -> None:
        proposal = asked.pop()
        for epoch in range(1, 9):
            proposal.trial.report(0.1, epoch)
            row = EpochRow(epoch, 1, 0.5, 1, 0.1, 1e-3, 1.0, 0)
            record_epoch(store, proposal.lease, row, proposal.pending)
        judged.append(timed(proposal.trial.should_prune))
        finish_trial(store, proposal.lease, Outcome("pruned"), proposal.pending)

    judged: list[float] = []
    asks, ends = [], []
    for _ in range(1 + n_runs):
        asks.append(timed(ask))
        ends.append(timed(end))
    print(f"ask: first {asks[0]:.2f} s (target: 5), then {statistics.median(asks[1:]):.2f} s "
          "(target: 1)")  # fmt: skip
    print(f"pruner, an epoch: {1000 * statistics.median(judged):.0f} ms")
    trials = opened.study.get_trials(deepcopy=False)
    families = opened.space.families
    show("all trials, nothing new", lambda: opened.study.get_trials(deepcopy=False), n_runs)
    show("next family", lambda: next_family(trials, families, 6), n_runs)
    show("recover", lambda: recover(store, opened.study._study_id), n_runs)
    show(
        "kept checkpoints",
        lambda: list_trials_to_keep(store, study_id, n_best=5, n_pruned=10),
        n_runs,
    )
    show("last kinds", lambda: last_outcomes(store, study_id, 100), n_runs)
    show("longest epoch", lambda: longest_epoch_s(store, study_id), n_runs)
    show("is over", lambda: (load_study(store, NAME), count_done(store, study_id)), n_runs)
    show("heartbeat", lambda: send_heartbeat(store, study_id, worker_id), n_runs)
    show("load_status", lambda: load_status(store, NAME), n_runs)
    show("rank", lambda: rank(store, NAME), n_runs)


def main() -> None:
    """Fill a store, and time commands and workers on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with (
        tempfile.TemporaryDirectory() as name,
        fresh_url(options.store, Path(name)) as make_url,
    ):
        os.environ["CONVSEARCH_CACHE"] = f"{name}/cache"
        url = make_url("large")
        seconds = timed(lambda: make(url, Path(name), options.trials))
        print(f"{options.trials} trials written in {seconds:.0f} s", flush=True)
        time_worker(url, options.runs)


if __name__ == "__main__":
    main()
