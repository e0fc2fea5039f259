"""Data files of a report: `report.json`, described by `report.schema.json`, and `trials.csv`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from analysis.confirmation.comparison import Confirmation
from analysis.output_files import dump_csv, dump_json, replace_non_finite, write_atomically
from analysis.report.facts import Facts, Picture, SplitEvaluation, WinnerFacts
from analysis.results.ranking import RankedTrial, Ranking
from storage import EpochRow

FORMAT = 1
"""Version of the format of `report.json`, increased when readers have to change."""
PARAMETER_PREFIX = "params_"
"""Prefix of the columns of parameters: `family` is a column and a parameter."""
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
    """Return all facts as one JSON document that conforms to `report.schema.json`.

    Pictures are without their pixels; numbers that JSON does not have are null.
    """
    document = {
        "format": FORMAT,
        "study": facts.study,
        "is_partial": facts.is_partial,
        "data": {
            **asdict(replace(facts.data, samples=())),
            "samples": _pictures(facts.data.samples),
        },
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


def write_json(facts: Facts, path: Path) -> None:
    """Write `report.json`, whole or not at all."""
    write_atomically(path, dump_json(facts_to_json(facts)))


def write_trials(facts: Facts, path: Path) -> None:
    """Write `trials.csv`: a row per trial, ranked ones first, with a column per parameter."""
    trials = facts.ranking.trials
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    columns = (*COLUMNS, *(f"{PARAMETER_PREFIX}{name}" for name in names))
    rows = (
        {**it.to_json(), **{f"{PARAMETER_PREFIX}{name}": it.params[name] for name in it.params}}
        for it in trials
    )
    write_atomically(path, dump_csv(columns, rows))


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
