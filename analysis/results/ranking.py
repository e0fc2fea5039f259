"""Ranking of a study's trials by a validation metric, and their Pareto fronts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from analysis.errors import MetricError
from analysis.results.families import (
    FamilySummary,
    LazyConfig,
    config_of,
    family_of,
    n_parameters,
    sort_value,
    summarize_families,
)
from storage import Store, TrialRow, TrialTable, find_study, opened_store

METRIC = "val_accuracy"
METRICS: Mapping[str, str] = {
    METRIC: "val_accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "auc": "macro_auc",
}
"""Metrics to rank by, all on the validation split, with their stored names."""
Cost = Literal["parameters", "seconds"]
COSTS: tuple[Cost, ...] = get_args(Cost)
ROUNDING = 1e-9
"""Tolerance with which a trial at 0.89 is within 0.01 of one at 0.90."""
SHOWN_PARAMS, SHOWN_ATTRIBUTES = ("family",), ("config", "parameters")
RANKED_KINDS = frozenset({"complete", "pruned"})
COUNTED_STATES = frozenset({"COMPLETE", "PRUNED", "INFEASIBLE"})


@dataclass(frozen=True, slots=True)
class RankedTrial:
    """A trial with its rank.

    `rank` counts from 1; it is None for a trial that could not be trained, failed, violated a
    constraint, or has not ended. `seconds` is the time of its epochs. `params` are the sampled
    values, and `config` is the record of the config built from them, empty before that.
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
    kind: str = ""
    """How it ended, finer than `state`: to Optuna, `unfit` and `rejected` trials are PRUNED."""

    def value(self, metric: str = METRIC) -> float | None:
        """Return the value of a metric; pruned trials have only the accuracy."""
        return self.val_accuracy if metric == METRIC else self.metrics.get(METRICS[metric])

    def cost(self, cost: Cost) -> float:
        """Return the parameters of the network or the seconds of training; infinite if unknown."""
        known = self.parameters if cost == "parameters" else self.seconds
        return math.inf if known is None else known

    def to_json(self) -> dict[str, Any]:
        """Return the trial as `rank --json` shows it."""
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
    """All trials of a study, ranked ones first, others by number; families by their best trial."""

    study: str
    trials: tuple[RankedTrial, ...]
    families: tuple[FamilySummary, ...] = ()
    direction: str = "maximize"
    metric: str = METRIC

    @property
    def counted(self) -> tuple[RankedTrial, ...]:
        """The trials that count for the budget, best first, unranked ones last."""
        return tuple(trial for trial in self.trials if trial.state in COUNTED_STATES)

    @property
    def complete(self) -> tuple[RankedTrial, ...]:
        """The complete trials, best first."""
        return tuple(trial for trial in self.trials if trial.state == "COMPLETE")

    def to_json(self) -> dict[str, Any]:
        """Return the document of `rank --json`."""
        return {
            "study": self.study,
            "direction": self.direction,
            "metric": self.metric,
            "trials": [trial.to_json() for trial in self.counted],
            "families": [family.to_json() for family in self.families],
        }

    def fronts_to_json(self) -> dict[str, list[int]]:
        """Return the trials of both Pareto fronts by cost, for `rank --pareto --json`."""
        return {cost: [trial.trial for trial in self.front(cost)] for cost in COSTS}

    def within(self, distance: float) -> tuple[RankedTrial, ...]:
        """Return the best trial, then those within `distance` of it that are smaller or faster."""
        best, *others = self._ranked or (None,)
        if best is None:
            return ()
        limit = self._sort_value(best) + distance + ROUNDING
        return (
            best,
            *(
                trial
                for trial in others
                if self._sort_value(trial) <= limit
                and any(trial.cost(cost) < best.cost(cost) for cost in COSTS)
            ),
        )

    def front(self, cost: Cost) -> tuple[RankedTrial, ...]:
        """Return the Pareto front of value and cost, from the best to the cheapest trial."""
        front: list[RankedTrial] = []
        for trial in sorted(self._ranked, key=lambda it: (self._sort_value(it), it.cost(cost))):
            if not front or trial.cost(cost) < front[-1].cost(cost):
                front.append(trial)
        return tuple(front)

    @property
    def _ranked(self) -> tuple[RankedTrial, ...]:
        return tuple(trial for trial in self.complete if trial.rank is not None)

    def _sort_value(self, trial: RankedTrial) -> float:
        return sort_value(trial.value(self.metric), self.direction)


def rank(
    store: Store | str, study: str, *, metric: str = METRIC, is_brief: bool = False
) -> Ranking:
    """Rank the trials of a study by validation accuracy or another of `METRICS`.

    Complete trials come before pruned ones, which have only the accuracy; among equals, the one
    with fewer parameters, then the earlier one, comes first. Trials of a plain Optuna study are
    ranked by their value. `store` may be a URL. With `is_brief`, which halves the time, trials
    have no `params` but the family, and a `config` that is parsed when it is first used.

    Raises:
        StudyNotFoundError: If the store has no such study.
        MetricError: If the metric is unknown.
    """
    if metric not in METRICS:
        raise MetricError(f"--metric: expected {', '.join(METRICS)}. Received: {metric}")
    with opened_store(store) as opened:
        record = find_study(opened, study)
        params = SHOWN_PARAMS if is_brief else None
        table = TrialTable(opened, record.study_id, params=params, attributes=SHOWN_ATTRIBUTES)
        return rank_rows(
            study, table.read(), direction=record.direction, metric=metric, is_brief=is_brief
        )


def rank_rows(
    study: str,
    rows: Sequence[TrialRow],
    *,
    direction: str = "maximize",
    metric: str = METRIC,
    is_brief: bool = False,
) -> Ranking:
    """Rank trials that have been read, as `rank` does."""

    def sort_key(row: TrialRow) -> tuple[bool, float, float, int]:
        value, size = sort_value(_value(row, metric), direction), n_parameters(row)
        return row.state != "COMPLETE", value, math.inf if size is None else size, row.number

    rankable = (row for row in rows if row.kind in RANKED_KINDS and row.is_feasible)
    ranked = sorted((it for it in rankable if _value(it, metric) is not None), key=sort_key)
    numbers = {row.number for row in ranked}
    trials = [_trial_of(row, place, is_brief) for place, row in enumerate(ranked, start=1)]
    trials += [_trial_of(row, None, is_brief) for row in rows if row.number not in numbers]
    families = summarize_families(rows, direction)
    return Ranking(study, tuple(trials), families, direction, metric)


def _value(row: TrialRow, metric: str) -> float | None:
    if metric == METRIC:
        return row.value
    return None if row.outcome is None else row.outcome.metrics.get(METRICS[metric])


def _trial_of(row: TrialRow, rank: int | None, is_brief: bool) -> RankedTrial:
    outcome, state, reason = row.outcome, row.state, ""
    if outcome is not None:
        state, reason = "REJECTED" if outcome.kind == "rejected" else state, outcome.reason
    if row.kind in RANKED_KINDS and not row.is_feasible:
        state, reason = "INFEASIBLE", "It violated a constraint."
    return RankedTrial(
        rank=rank,
        trial=row.number,
        family=family_of(row),
        state=state,
        val_accuracy=row.value,
        best_epoch=row.curve.best_epoch,
        epochs=row.curve.n_epochs,
        seconds=row.curve.seconds,
        parameters=n_parameters(row),
        params=row.params,
        reason=reason,
        metrics={} if outcome is None else outcome.metrics,
        config=LazyConfig(row) if is_brief else config_of(row),
        kind=row.kind,
    )
