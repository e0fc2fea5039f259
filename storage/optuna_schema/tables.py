"""The parts of Optuna's tables that we use; Optuna itself creates and migrates the tables."""

import math
from datetime import UTC, datetime

import sqlalchemy as sa
from optuna.trial import TrialState

from storage.stored_values import damaged_value

REVISION = "v3.2.0.a"
"""Optuna's revision of the tables described here; a store of this revision needs no migration."""

TABLE_NAMES = frozenset(
    f"{owner}_{what}"
    for owner, whats in {
        "study": ("directions", "user_attributes", "system_attributes"),
        "trial": (
            *("params", "values", "intermediate_values", "heartbeats"),
            *("user_attributes", "system_attributes"),
        ),
    }.items()
    for what in whats
) | {"studies", "trials", "version_info", "alembic_version"}
"""The names of all tables of Optuna."""

versions = sa.table("alembic_version", sa.column("version_num"))
studies = sa.table("studies", sa.column("study_id"), sa.column("study_name"))
study_attributes = sa.table(
    "study_system_attributes", *map(sa.column, ("study_id", "key", "value_json"))
)

study_user_attributes = sa.table(
    "study_user_attributes", *map(sa.column, ("study_id", "key", "value_json"))
)

directions = sa.table(
    "study_directions",
    *map(sa.column, ("study_id", "objective")),
    sa.column("direction", sa.Enum("NOT_SET", "MINIMIZE", "MAXIMIZE", name="studydirection")),
)

trials = sa.table(
    "trials",
    *map(sa.column, ("trial_id", "number", "study_id")),
    sa.column("state", sa.Enum(TrialState, name="trialstate")),
    sa.column("datetime_start", sa.DateTime),
    sa.column("datetime_complete", sa.DateTime),
)

values = sa.table(
    "trial_values",
    *map(sa.column, ("trial_id", "objective", "value")),
    sa.column("value_type", sa.Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
)

params = sa.table(
    "trial_params",
    *map(sa.column, ("param_id", "trial_id", "param_name", "param_value", "distribution_json")),
)

user_attributes = sa.table(
    "trial_user_attributes", *map(sa.column, ("trial_id", "key", "value_json"))
)

system_attributes = sa.table(
    "trial_system_attributes", *map(sa.column, ("trial_id", "key", "value_json"))
)

reports = sa.table(
    "trial_intermediate_values",
    *map(sa.column, ("trial_id", "step", "intermediate_value")),
    sa.column(
        "intermediate_value_type",
        sa.Enum("FINITE", "INF_POS", "INF_NEG", "NAN", name="trialintermediatevaluetype"),
    ),
)


def utc_now() -> datetime:
    """Return the time as Optuna's tables hold it: in UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_local(stored: datetime | None) -> datetime | None:
    """Return a time of the tables as Optuna's trials hold it: local, without a time zone."""
    if stored is None:
        return None
    return stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def to_utc(local: datetime | None) -> datetime | None:
    """Return a local time as Optuna's tables hold it."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)


NON_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
"""Numbers that Optuna stores as a word beside NULL, since some databases do not support them."""


def from_stored(value: float | None, kind: str) -> float:
    """Return the number that Optuna stored."""
    if value is not None:
        return value
    if kind not in NON_FINITE:
        raise damaged_value(value, f"for a number marked {kind}")
    return NON_FINITE[kind]


def to_stored(value: float) -> tuple[float | None, str]:
    """Return a number as Optuna stores it."""
    if math.isfinite(value):
        return value, "FINITE"
    if math.isnan(value):
        return None, "NAN"
    return None, "INF_POS" if value > 0 else "INF_NEG"
