"""The ranking: a study's trials by validation accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.families import FamilySummary, family_of, summarize_families
from storage import Store, TrialRow, load_study, load_trials, using

METRIC = "val_accuracy"


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
            "direction": "maximize",
            "metric": METRIC,
            "trials": [trial.to_json() for trial in self.counted],
            "families": [family.to_json() for family in self.families],
        }


def rank(store: Store | str, study: str) -> Ranking:
    """Ranks the trials of a study by validation accuracy.

    Complete trials come before pruned ones; among equals the one with fewer parameters, then the
    earlier one, comes first.

    Args:
        store: An open store, or its URL.
        study: Name of the study.

    Raises:
        StudyNotFoundError: If the store has no such study.
    """
    with using(store) as opened:
        rows = load_trials(opened, load_study(opened, study).study_id)
    ranked = sorted((row for row in rows if _has_place(row)), key=_sort_key)
    others = [row for row in rows if not _has_place(row)]
    places: list[tuple[int | None, TrialRow]] = [*enumerate(ranked, start=1)]
    places += [(None, row) for row in others]
    trials = tuple(_ranked_trial(place, row) for place, row in places)
    return Ranking(study, trials, summarize_families(rows))


def _has_place(row: TrialRow) -> bool:
    return (
        row.outcome is not None
        and row.outcome.kind in {"complete", "pruned"}
        and row.value is not None
    )


def _sort_key(row: TrialRow) -> tuple[bool, float, float, int]:
    parameters = row.attributes.get("parameters", float("inf"))
    return row.state != "COMPLETE", -(row.value or 0.0), parameters, row.number


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
        parameters=row.attributes.get("parameters"),
        params=row.params,
        reason="" if outcome is None else outcome.reason,
        metrics=metrics,
        config=row.attributes.get("config", {}),
    )
