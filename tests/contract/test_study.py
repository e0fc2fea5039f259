"""One seed gives one ranking; JSON documents keep their keys, and records in the store theirs.

Trainings are simulated by `standin_trainer.py`, so proposals, pruning and ranking can be compared
trial by trial on any processor.
"""

import json
import sqlite3
from contextlib import closing
from typing import Any

import optuna
import pytest

SEARCH = ("--workers", "1", "--gpus", "none", "--seed", "7", "--max-epochs", "12")
LIMITS = ("--max-memory", "100000")
FAMILIES = ("--families", "plain,vgg,inception,residual,dense")
"""Named, so that a new family that is searched by default changes no result here."""
DOCUMENTS = {
    "status": "status small",
    "rank": "rank small",
    "rank_pareto": "rank small --pareto",
    "rank_within": "rank small --within 0.05",
    "study_list": "study list",
    "study_show": "study show small",
    "data_inspect": "data inspect images.npz",
    "data_prepare": "data prepare images.npz",
    "data_fetch": "data fetch --list",
    "doctor": "doctor",
    "fork": "study fork small forked --set optimizer=adam",
}
EXIT_CODES = {
    "--help": 0,
    "rank small --all": 0,
    "status none": 2,
    "status small --store sqlite:///none.db": 2,
    "rank small --metric luck": 2,
    "rank small --unknown": 2,
    "run none.npz": 2,
    "run images.npz --study small --max-epochs 5": 2,
    "confirm none": 2,
    "report small --out images.npz": 2,
    "predict images.npz images.npz": 2,
    "doctor": 0,
}


@pytest.fixture(scope="module")
def small(lab: Any) -> Any:
    """A lab with a study of 40 trials of five families that train from scratch."""
    study = ("run", "images.npz", "--study", "small", "--trials", "40")
    lab.run(*study, *FAMILIES, *SEARCH, *LIMITS)
    return lab


def test_one_seed_gives_the_ranking_that_it_always_gave(small: Any, check: Any) -> None:
    document = small.ask("rank", "small")
    for trial in document["trials"]:
        assert isinstance(trial.pop("reason"), str)
    check("ranking", document)


def test_proposals_and_pruning_are_what_they_were(small: Any, check: Any) -> None:
    url = f"sqlite:///{small.store}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = optuna.load_study(study_name="small", storage=url).get_trials(deepcopy=False)
    found = [
        {
            "number": trial.number,
            "state": trial.state.name,
            "value": trial.value,
            "steps": list(trial.intermediate_values),
            "params": trial.params,
        }
        for trial in trials
    ]
    assert {trial["state"] for trial in found} == {"COMPLETE", "PRUNED", "FAIL"}
    assert sum("tpe:relative_params:0" in trial.system_attrs for trial in trials) > 20
    check("trials", {"trials": found})


def test_json_documents_keep_their_keys(small: Any, check: Any, shape: Any) -> None:
    asked = small.run_all(*([*it.split(), "--json"] for it in DOCUMENTS.values()))
    for name, (_, answer) in zip(DOCUMENTS, asked, strict=True):
        check(f"keys_{name}", shape(json.loads(answer)))


def test_exit_codes(small: Any) -> None:
    asked = small.run_all(*map(str.split, EXIT_CODES))
    assert {it: code for it, (code, _) in zip(EXIT_CODES, asked, strict=True)} == EXIT_CODES


@pytest.mark.slow
def test_confirmations_warm_starts_and_forks_keep_their_records(
    small: Any, check: Any, shape: Any
) -> None:
    confirm = ("confirm", "small", "--top", "2", "--seeds", "2", "--workers", "1", "--no-test")
    check("keys_confirm", shape(small.ask(*confirm)))
    warm = ("--warm-start", "small", "--trials", "6", "--families", "plain,vgg")
    small.run("run", "images.npz", "--study", "warm", *warm, *SEARCH, *LIMITS)
    small.run("study", "fork", "small", "another", "--set", "optimizer=adam")
    check("attributes", read_attributes(small))


def read_attributes(lab: Any) -> dict[str, list[str]]:
    """Return the keys of the attributes of studies and trials."""
    tables = ("study_user", "study_system", "trial_user", "trial_system")
    with closing(sqlite3.connect(lab.store)) as database:
        found = {
            table: sorted(
                row[0] for row in database.execute(f"SELECT DISTINCT key FROM {table}_attributes")
            )
            for table in tables
        }
        rows = database.execute("SELECT DISTINCT kind FROM convsearch_leases")
        found["kinds"] = sorted(row[0] for row in rows)
        rows = database.execute("SELECT outcome FROM convsearch_leases")
        found["outcome"] = sorted({key for row in rows for key in json.loads(row[0])})
    return found
