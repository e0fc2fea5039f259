"""The study of a confirmation: its name, and the config that each of its trials retrains."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from storage import TrialRow

CONFIRMATION_SUFFIX = "/confirm"
CONFIRMS_ATTRIBUTE = "confirms"
"""Attribute of a training with the trial of the search, the seed, and the config's key."""


@dataclass(frozen=True, slots=True)
class LeadingConfig:
    """The config with the best mean so far, identified by the trial that found it."""

    trial: int
    mean: float
    n_seeds: int


def confirmation_name(study: str) -> str:
    """Return the name of the study that confirms another one."""
    return study + CONFIRMATION_SUFFIX


def kind_of_trial(study: str) -> str:
    """Return `training` for the trials of a confirmation, `trial` for those of a search."""
    return "training" if study.endswith(CONFIRMATION_SUFFIX) else "trial"


def origin_of_training(row: TrialRow) -> dict[str, Any] | None:
    """Return the `trial` and `seed` of a training; None for a trial of a search."""
    origin = row.attributes.get(CONFIRMS_ATTRIBUTE)
    if not isinstance(origin, dict):
        return None
    is_known = all(type(origin.get(key)) is int for key in ("trial", "seed"))
    return origin if is_known else None


def find_leading_config(rows: Iterable[TrialRow]) -> LeadingConfig | None:
    """Find the best mean among configs with two values or more; one value may be luck."""
    values: dict[int, list[float]] = {}
    for row in rows:
        origin = origin_of_training(row)
        if origin is not None and row.state == "COMPLETE" and row.value is not None:
            values.setdefault(origin["trial"], []).append(row.value)
    found = [
        LeadingConfig(trial, fmean(it), len(it)) for trial, it in values.items() if len(it) > 1
    ]
    return max(found, key=lambda it: (it.mean, -it.trial), default=None)
