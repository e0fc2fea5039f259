"""Summary of a study's trials by family, and the order of trials by value."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from storage import TrialRow


@dataclass(frozen=True, slots=True)
class FamilySummary:
    """Summary of a study's trials of one family.

    `trial`, `val_accuracy` and `parameters` are of the best complete trial, None without one.
    `n_trials` count for the budget; `n_complete` and `n_pruned` (by the pruner) are among them.
    `n_epochs` and `seconds` are of all the family's trials.
    """

    family: str
    trial: int | None
    val_accuracy: float | None
    n_trials: int
    n_complete: int
    n_pruned: int
    parameters: int | None
    n_epochs: int
    seconds: float

    @property
    def epoch_s(self) -> float | None:
        """Mean seconds per epoch; None before the first."""
        return self.seconds / self.n_epochs if self.n_epochs else None

    def to_json(self) -> dict[str, Any]:
        """Return the family as `--json` shows it."""
        return {
            "family": self.family,
            "trial": self.trial,
            "val_accuracy": self.val_accuracy,
            "trials": self.n_trials,
            "complete": self.n_complete,
            "pruned": self.n_pruned,
            "parameters": self.parameters,
            "seconds": round(self.seconds, 2),
            "epoch_seconds": None if self.epoch_s is None else round(self.epoch_s, 3),
        }


def family_of(row: TrialRow) -> str:
    """Return the family of a trial; an empty text until one is sampled."""
    return str(row.params.get("family") or config_of(row).get("family") or "")


class LazyConfig(Mapping[str, Any]):
    """The record of a trial's config, parsed when it is first used."""

    __slots__ = ("_row",)

    def __init__(self, row: TrialRow) -> None:
        self._row = row

    def __getitem__(self, key: str) -> Any:
        return config_of(self._row)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(config_of(self._row))

    def __len__(self) -> int:
        return len(config_of(self._row))


def config_of(row: TrialRow) -> dict[str, Any]:
    """Return the record of a trial's config; empty for trials of other programs."""
    config = row.attributes.get("config")
    return config if isinstance(config, dict) else {}


def summarize_families(
    rows: Iterable[TrialRow], direction: str = "maximize"
) -> tuple[FamilySummary, ...]:
    """Summarize the trials of each family, the one with the best trial first."""
    by_family: dict[str, list[TrialRow]] = {}
    for row in rows:
        by_family.setdefault(family_of(row), []).append(row)
    by_family.pop("", None)
    found = [_summarize(family, members, direction) for family, members in by_family.items()]
    return tuple(sorted(found, key=lambda it: (sort_value(it.val_accuracy, direction), it.family)))


def sort_value(value: float | None, direction: str) -> float:
    """Return the sort key that puts the best value first and missing values last."""
    if value is None or math.isnan(value):
        return math.inf
    return -value if direction == "maximize" else value


def best_complete(rows: Iterable[TrialRow], direction: str = "maximize") -> TrialRow | None:
    """Return the best feasible complete trial; among equals the smallest, then the earliest."""

    def sort_key(row: TrialRow) -> tuple[float, float, int]:
        size = n_parameters(row)
        return sort_value(row.value, direction), math.inf if size is None else size, row.number

    complete = (it for it in rows if it.state == "COMPLETE" and it.value is not None)
    return min((it for it in complete if it.is_feasible), key=sort_key, default=None)


def n_parameters(row: TrialRow) -> int | None:
    """Return the number of parameters of a trial's network, if known."""
    found = row.attributes.get("parameters")
    return found if isinstance(found, int) else None


def _summarize(family: str, rows: list[TrialRow], direction: str) -> FamilySummary:
    best = best_complete(rows, direction)
    return FamilySummary(
        family=family,
        trial=None if best is None else best.number,
        val_accuracy=None if best is None else best.value,
        n_trials=sum(row.counts for row in rows),
        n_complete=sum(row.kind == "complete" for row in rows),
        n_pruned=sum(row.kind == "pruned" for row in rows),
        parameters=None if best is None else n_parameters(best),
        n_epochs=sum(row.curve.n_epochs for row in rows),
        seconds=sum(row.curve.seconds for row in rows),
    )
