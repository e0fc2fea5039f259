"""The ranking: a study's trials by validation accuracy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.families import (
    FamilySummary,
    badness,
    config_of,
    family_of,
    n_parameters,
    summarize_families,
)
from storage import Store, TrialRow, TrialTable, find_study, using

METRIC = "val_accuracy"
SHOWN_ATTRIBUTES = ("config", "parameters")


@dataclass(frozen=True, slots=True)
class RankedTrial:
    """A trial with its place.

    `rank` counts from 1 and is None for a trial that has no place: one that could not be trained,
    failed, or has not ended. `seconds` is the time of its epochs. `params` are what was drawn,
    `config` is the record of what they came to, empty before they did.
    """

    rank: int | None
    trial: int
    family: str
    state: str
    val_accuracy: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    parameters: int | None
    params: Mapping[str, Any]
    reason: str
    metrics: Mapping[str, float]
    config: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Gives the trial as `rank --json` shows it."""
        return {
            "rank": self.rank,
            "trial": self.trial,
            "family": self.family,
            "state": self.state,
            "val_accuracy": self.val_accuracy,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "seconds": round(self.seconds, 2),
            "parameters": self.parameters,
            "params": dict(self.params),
            "config": dict(self.config),
            "reason": self.reason,
            "balanced_accuracy": self.metrics.get("balanced_accuracy"),
            "macro_auc": self.metrics.get("macro_auc"),
        }


@dataclass(frozen=True, slots=True)
class Ranking:
    """All trials of a study: the ranked ones first, then the others by number.

    `families` sums them up by family, the one with the best trial first.
    """

    study: str
    trials: tuple[RankedTrial, ...]
    families: tuple[FamilySummary, ...] = ()
    direction: str = "maximize"

    @property
    def counted(self) -> tuple[RankedTrial, ...]:
        """The trials that count for the budget, best first, those without a place last."""
        return tuple(trial for trial in self.trials if trial.state in {"COMPLETE", "PRUNED"})

    @property
    def complete(self) -> tuple[RankedTrial, ...]:
        """The trials that were trained to their end, best first."""
        return tuple(trial for trial in self.trials if trial.state == "COMPLETE")

    def to_json(self) -> dict[str, Any]:
        """Gives the document of `rank --json`."""
        return {
            "study": self.study,
            "direction": self.direction,
            "metric": METRIC,
            "trials": [trial.to_json() for trial in self.counted],
            "families": [family.to_json() for family in self.families],
        }


def rank(store: Store | str, study: str) -> Ranking:
    """Ranks the trials of a study by validation accuracy.

    Complete trials come before pruned ones; among equals the one with fewer parameters, then the
    earlier one, comes first. Those of a study of Optuna alone are ranked by their value.

    Args:
        store: An open store, or its URL.
        study: Name of the study.

    Raises:
        StudyNotFoundError: If the store has no such study.
    """
    with using(store) as opened:
        record = find_study(opened, study)
        rows = TrialTable(opened, record.study_id, attributes=SHOWN_ATTRIBUTES).read()
    ranked = sorted(
        (row for row in rows if _has_place(row)), key=lambda row: _sort_key(row, record.direction)
    )
    others = [row for row in rows if not _has_place(row)]
    places: list[tuple[int | None, TrialRow]] = [*enumerate(ranked, start=1)]
    places += [(None, row) for row in others]
    trials = tuple(_ranked_trial(place, row) for place, row in places)
    families = summarize_families(rows, record.direction)
    return Ranking(study, trials, families, record.direction)


def _has_place(row: TrialRow) -> bool:
    return row.kind in {"complete", "pruned"} and row.value is not None


def _sort_key(row: TrialRow, direction: str) -> tuple[bool, float, float, int]:
    n = n_parameters(row)
    return (
        row.state != "COMPLETE",
        badness(row.value, direction),
        math.inf if n is None else n,
        row.number,
    )


def _ranked_trial(place: int | None, row: TrialRow) -> RankedTrial:
    outcome = row.outcome
    metrics = {} if outcome is None else outcome.metrics
    return RankedTrial(
        rank=place,
        trial=row.number,
        family=family_of(row),
        state="REJECTED" if outcome is not None and outcome.kind == "rejected" else row.state,
        val_accuracy=row.value,
        best_epoch=row.curve.best_epoch,
        epochs=row.curve.n_epochs,
        seconds=row.curve.seconds,
        parameters=n_parameters(row),
        params=row.params,
        reason="" if outcome is None else outcome.reason,
        metrics=metrics,
        config=config_of(row),
    )
