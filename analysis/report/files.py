"""A report as data: `report.json`, described by `report.schema.json`, and `trials.csv`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from analysis.confirmation.comparison import Confirmation
from analysis.output_files import Row, dump_csv, dump_json, replace_non_finite, write_atomically
from analysis.report.facts import DataFacts, Facts, Picture, SplitEvaluation, WinnerFacts
from analysis.results.ranking import RankedTrial, Ranking
from storage import EpochRow

FORMAT = 1
"""Raised when a reader of `report.json` would have to change."""
SCHEMA = "report.schema.json"
PARAMETER_PREFIX = "params_"
"""What the column of a parameter begins with: there are a parameter and a column `family`."""
COLUMNS = (
    "rank",
    "trial",
    "family",
    "state",
    "reason",
    "val_accuracy",
    "balanced_accuracy",
    "macro_auc",
    "best_epoch",
    "epochs",
    "seconds",
    "parameters",
)


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Return all facts as one JSON document, as the schema describes it.

    Pictures are told of without their pixels; numbers that JSON does not know are null.
    """
    document = {
        "format": FORMAT,
        "study": facts.study,
        "is_partial": facts.is_partial,
        "data": _data(facts.data),
        "search": asdict(facts.search),
        "ranking": _ranking(facts.ranking),
        "winner": _winner(facts.winner),
        "curves": {str(number): _curve(curve) for number, curve in facts.curves.items()},
        "importance": dict(facts.importance),
        "confirmation": _confirmation(facts.confirmation),
        "examined": {split: _examination(it) for split, it in facts.examined.items()},
        "test_uses": [asdict(use) for use in facts.test_uses],
        "lost_trials": facts.lost_trials,
        "cautions": [asdict(caution) for caution in facts.cautions],
    }
    made: dict[str, Any] = replace_non_finite(document)
    return made


def load_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `report.json`."""
    found: dict[str, Any] = json.loads(
        files(__package__).joinpath(SCHEMA).read_text(encoding="utf-8")
    )
    return found


def write_json(facts: Facts, path: Path) -> None:
    """Write `report.json`, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
    """
    write_atomically(path, dump_json(facts_to_json(facts)))


def write_trials(facts: Facts, path: Path) -> None:
    """Write `trials.csv`: a row for each trial, ranked ones first, and a column a parameter.

    Seconds are those of all its epochs. Texts that a spreadsheet would run are quoted.

    Raises:
        OSError: If the file cannot be written.
    """
    trials = facts.ranking.trials
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    columns = (*COLUMNS, *(f"{PARAMETER_PREFIX}{name}" for name in names))
    write_atomically(path, dump_csv(columns, map(_row, trials)))


def _row(trial: RankedTrial) -> Row:
    params = {f"{PARAMETER_PREFIX}{name}": value for name, value in trial.params.items()}
    return {**trial.to_json(), **params}


def _data(data: DataFacts) -> dict[str, Any]:
    return {
        "kind": data.kind,
        "classes": data.classes,
        "counts": data.counts,
        "image_shapes": data.image_shapes,
        "fingerprint": data.fingerprint,
        "n_duplicates": data.n_duplicates,
        "n_conflicts": data.n_conflicts,
        "n_broken": data.n_broken,
        "split": data.split,
        "is_split_known": data.is_split_known,
        "seed": data.seed,
        "names_left_out": data.names_left_out,
        "samples": _pictures(data.samples),
    }


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {
        "direction": ranking.direction,
        "metric": ranking.metric,
        "trials": [_trial(trial) for trial in ranking.trials],
        "families": [family.to_json() for family in ranking.families],
        "fronts": ranking.fronts_to_json(),
    }


def _trial(trial: RankedTrial) -> dict[str, Any]:
    return {**trial.to_json(), "kind": trial.kind}


def _winner(winner: WinnerFacts) -> dict[str, Any]:
    return {
        "trial": _trial(winner.trial),
        "source": winner.source,
        "source_trial": winner.source_trial,
        "is_confirmed": winner.is_confirmed,
        "val_accuracy": winner.val_accuracy,
        "best_epoch": winner.best_epoch,
        "curve": _curve(winner.curve),
        "layers": [asdict(layer) for layer in winner.layers],
        "command": winner.command,
    }


def _curve(curve: Iterable[EpochRow]) -> list[Mapping[str, Any]]:
    return [asdict(row) for row in curve]


def _confirmation(confirmation: Confirmation | None) -> dict[str, Any] | None:
    if confirmation is None:
        return None
    return {
        "standings": [standing.to_json() for standing in confirmation.standings],
        "leader": confirmation.leader.trial,
        "recommended": confirmation.recommended.trial,
    }


def _examination(examination: SplitEvaluation) -> dict[str, Any]:
    return {
        **examination.evaluation.to_json(),
        "mistakes": _pictures(examination.mistakes),
        "right": _pictures(examination.right),
    }


def _pictures(pictures: Iterable[Picture]) -> list[dict[str, Any]]:
    return [
        {"label": it.label, "answer": it.answer, "confidence": it.confidence} for it in pictures
    ]
