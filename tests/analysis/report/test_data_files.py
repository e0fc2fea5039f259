"""`report.json` and `trials.csv`: complete, valid, and safe to open."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analysis.report import data_files
from analysis.report.data_files import facts_to_json, write_json, write_trials
from analysis.report.facts import Facts

MakeFacts = Callable[..., Facts]
SCHEMA = json.loads(Path(data_files.__file__).with_name("report.schema.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"with_test": False},
        {"with_confirmation": False},
        {"with_weights": False},
        {"is_partial": True, "n_trials": 12},
    ],
)
def test_json_matches_the_schema(make_facts: MakeFacts, parts: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(facts_to_json(make_facts(**parts)))


def test_schema_refuses_unknown_properties(facts: Facts) -> None:
    document = {**facts_to_json(facts), "surprise": 1}
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_schema_describes_and_requires_every_property() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    found = list(_objects(SCHEMA))
    assert len(found) > 15
    for part in found:
        assert part["additionalProperties"] is False
        assert set(part["required"]) == set(part["properties"])
        assert all(it.get("description") for it in part["properties"].values())


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield schema
        for part in schema.values():
            yield from _objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _objects(part)


def test_numbers_that_json_does_not_have_are_null(facts: Facts, tmp_path: Path) -> None:
    broken = replace(facts.winner.curve[0], val_loss=float("nan"), train_loss=float("inf"))
    winner = replace(facts.winner, curve=(broken,))
    write_json(replace(facts, winner=winner), tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["winner"]["curve"][0]["val_loss"] is None


def test_json_contains_reasons_of_trials_and_kinds_of_pictures(facts: Facts) -> None:
    document = facts_to_json(facts)
    trials = document["ranking"]["trials"]
    assert len(trials) == len(facts.trials)
    assert {it["reason"] for it in trials if it["kind"] == "unfit"} == {
        "needs more memory than there is"
    }
    mistake = facts.examined["test"].mistakes[0]
    assert document["examined"]["test"]["mistakes"][0] == {
        "label": mistake.label,
        "answer": mistake.answer,
        "confidence": mistake.confidence,
    }
    assert document["confirmation"]["recommended"] == facts.confirmation.recommended.trial  # type: ignore[union-attr]


def test_trials_have_a_row_each_and_a_column_for_each_parameter(
    facts: Facts, tmp_path: Path
) -> None:
    write_trials(facts, tmp_path / "trials.csv")
    rows = _read(tmp_path / "trials.csv")
    assert [int(row["trial"]) for row in rows] == [it.trial for it in facts.ranking.trials]
    for row, trial in zip(rows, facts.ranking.trials, strict=True):
        drawn = {name: value for name, value in row.items() if name.startswith("params_")}
        assert {f"params_{name}" for name in trial.params} <= set(drawn)
        assert sum(value != "" for value in drawn.values()) == len(trial.params)
        assert row["family"] == drawn["params_family"]
    assert rows[0]["rank"] == "1"
    assert rows[-1]["rank"] == ""


def test_no_cell_of_trials_is_a_formula(facts: Facts, tmp_path: Path) -> None:
    evil = replace(
        facts.ranking.trials[0], reason="=1+1", params={"=HYPERLINK(1)": "@SUM(1)", "x": -1.5}
    )
    ranking = replace(facts.ranking, trials=(evil,))
    write_trials(replace(facts, ranking=ranking), tmp_path / "trials.csv")
    (row,) = _read(tmp_path / "trials.csv")
    assert row["reason"] == "'=1+1"
    assert row["params_=HYPERLINK(1)"] == "'@SUM(1)"
    assert row["params_x"] == "-1.5"


def test_failed_write_leaves_the_old_file(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    monkeypatch.setattr(Path, "replace", _refuse)
    with pytest.raises(OSError, match="No space"):
        write_json(facts, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
