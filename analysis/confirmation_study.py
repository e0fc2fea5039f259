"""What tells a confirmation from a search: its name, and what each of its trials trains again."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from storage import TrialRow

CONFIRMATION_SUFFIX = "/confirm"
CONFIRMS_ATTRIBUTE = "confirms"
"""The attribute of a training: the trial whose config it trains again, its seed and its key."""


@dataclass(frozen=True, slots=True)
class LeadingConfig:
    """The config of the best mean so far: the trial that found it, over how many seeds."""

    trial: int
    mean: float
    n_seeds: int


def confirmation_name(study: str) -> str:
    """Return the name of the study that confirms another one."""
    return study + CONFIRMATION_SUFFIX


def origin_of_training(row: TrialRow) -> dict[str, Any] | None:
    """Return what a training trains again, as `trial` and `seed`; None for a trial of a search."""
    origin = row.attributes.get(CONFIRMS_ATTRIBUTE)
    if not isinstance(origin, dict):
        return None
    is_known = all(type(origin.get(key)) is int for key in ("trial", "seed"))
    return origin if is_known else None


def find_leading_config(rows: Iterable[TrialRow]) -> LeadingConfig | None:
    """Find the config of the best mean among those with two values; one may be mere luck."""
    values: dict[int, list[float]] = {}
    for row in rows:
        origin = origin_of_training(row)
        if origin is not None and row.state == "COMPLETE" and row.value is not None:
            values.setdefault(origin["trial"], []).append(row.value)
    found = [
        LeadingConfig(trial, fmean(it), len(it)) for trial, it in values.items() if len(it) > 1
    ]
    return max(found, key=lambda it: (it.mean, -it.trial), default=None)
