"""A store and a report of an earlier version still open, and its study can be continued.

`stores/shapes` was made in a folder `/srv/lab` by `run study.toml`, `confirm --top 2 --seeds 2`
and `report`; `answers.json` is the output of the commands at that time.
"""

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import pytest

from analysis import facts_to_json
from analysis.report.preparation import Preparation
from search import gather_facts

STORES = Path(__file__).with_name("stores")
PLACE = "/srv/lab"
ASKED = {
    "rank": "rank shapes",
    "status": "status shapes",
    "study_show": "study show shapes",
    "study_list": "study list",
    "doctor": "doctor",
}


@pytest.fixture
def shapes(make_lab: Any) -> Any:
    """The lab of that time, moved to a new folder."""
    lab = make_lab()
    shutil.copytree(STORES / "shapes", lab.folder, dirs_exist_ok=True)
    with tarfile.open(lab.folder / "store.tar.gz") as archive:
        # Debian 12's Python has no filters yet.
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(lab.folder, **safely)
    with closing(sqlite3.connect(lab.store)) as database, database:
        moved = "UPDATE convsearch_studies SET settings = replace(settings, ?, ?)"
        database.execute(moved, (PLACE, str(lab.folder)))
    return lab


@pytest.fixture
def answers(shapes: Any) -> Any:
    """The output of the commands at that time, with the path of the new folder."""
    text = (shapes.folder / "answers.json").read_text()
    return json.loads(text.replace(PLACE, str(shapes.folder)))


LATER_KEYS = {
    "baseline": None,
    "n_leaks": 0,
    "has_weights": False,
    "preparation": json.loads(json.dumps(asdict(Preparation()))),
}


def without_later_keys(found: Any) -> Any:
    """Return a document without keys that it did not have then; an old store has no values."""
    if isinstance(found, dict):
        assert all(found[key] == LATER_KEYS[key] for key in found if key in LATER_KEYS)
        return {key: without_later_keys(found[key]) for key in found if key not in LATER_KEYS}
    return [without_later_keys(it) for it in found] if isinstance(found, list) else found


def test_commands_answer_as_before(shapes: Any, answers: Any) -> None:
    found = shapes.run_all(*([*it.split(), "--json"] for it in ASKED.values()))
    for name, (code, answer) in zip(ASKED, found, strict=True):
        documents = json.loads(answer), answers[name]
        for study in (it for document in documents for it in document.get("studies", ())):
            del study["bytes"]  # The store holds the folder's path.
        if name == "study_show":  # Later settings have their defaults.
            data, before = (document["settings"]["data"] for document in documents)
            for key in data.keys() - before.keys():
                del data[key]
        assert (name, code, without_later_keys(documents[0])) == (name, 0, documents[1])


def test_facts_of_the_report_are_the_same(
    shapes: Any, monkeypatch: Any, check: Any, shape: Any
) -> None:
    monkeypatch.chdir(shapes.folder)
    before = json.loads((shapes.folder / "report" / "report.json").read_text())
    facts = facts_to_json(gather_facts(f"sqlite:///{shapes.store}", "shapes"))
    assert without_later_keys(json.loads(json.dumps(facts))) == before
    check("keys_report", shape(before))


def test_optuna_opens_the_studies(shapes: Any) -> None:
    url = f"sqlite:///{shapes.store}"
    for name, n_trials in (("shapes", 6), ("shapes/confirm", 4)):
        study = optuna.load_study(study_name=name, storage=url)
        assert (len(study.trials), study.best_value) == (n_trials, 1.0)


def test_model_of_an_old_report_answers_as_before(shapes: Any, answers: Any) -> None:
    found, expected = shapes.ask("predict", "report", "image.png"), answers["predict"]
    probabilities = [it["images"][0].pop("probabilities") for it in (found, expected)]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=1e-4)
    assert found == expected


@pytest.mark.slow
def test_report_can_be_written_over_an_old_one(shapes: Any) -> None:
    path = shapes.folder / "report" / "report.json"
    before = json.loads(path.read_text())
    shapes.run("report", "shapes", "--out", "report", "--force")
    assert without_later_keys(json.loads(path.read_text())) == before
    assert {it.name for it in path.parent.iterdir()} == {
        "report.html",
        "report.ipynb",
        "report.json",
        "trials.csv",
        "best.keras",
        "best.json",
    }


@pytest.mark.slow
def test_old_study_goes_on(shapes: Any, answers: Any) -> None:
    done = trials_of(shapes.ask("run", "study.toml", "--trials", "7"))
    before = trials_of(answers["rank"])
    assert len(done) == len(before) + 1
    assert {number: done[number] for number in before} == before
    again = shapes.ask("confirm", "shapes", "--top", "2", "--seeds", "2", "--workers", "1")
    assert again["test"] == answers["confirm"]["test"]
    assert again["test_uses"] == answers["confirm"]["test_uses"]


@pytest.mark.slow
def test_same_study_file_gives_the_same_trials(make_lab: Any) -> None:
    """Trained networks: on a processor that rounds differently, one or two images may differ."""
    lab = make_lab()
    for name in ("study.toml", "images.npz"):
        shutil.copy(STORES / "shapes" / name, lab.folder)
    found = trials_of(lab.ask("run", "study.toml"))
    expected = trials_of(json.loads((STORES / "shapes" / "answers.json").read_text())["rank"])
    assert found.keys() == expected.keys()
    for number, trial in expected.items():
        for key in ("family", "params", "config", "parameters"):
            assert found[number][key] == trial[key]
        assert found[number]["val_accuracy"] == pytest.approx(trial["val_accuracy"], abs=0.12)


def trials_of(ranking: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the trials of a ranking by number, without their ranks."""
    return {it["trial"]: {**it, "rank": None} for it in ranking["trials"]}
