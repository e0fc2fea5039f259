"""Optuna's tables as far as we read and write them; making and changing them is Optuna's."""

from datetime import datetime, timezone

import sqlalchemy as sa
from optuna.trial import TrialState

state_type = sa.Enum(TrialState, name="trialstate")

studies = sa.table("studies", sa.column("study_id"), sa.column("study_name"))

trials = sa.table(
    "trials",
    *map(sa.column, ("trial_id", "number", "study_id")),
    sa.column("state", state_type),
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
    """Gives the time as Optuna's tables hold it: UTC, without saying so."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def to_local(stored: datetime | None) -> datetime | None:
    """Gives a time of the tables as Optuna's trials hold it: the local one."""
    if stored is None:
        return None
    return stored.replace(tzinfo=timezone.utc).astimezone().replace(tzinfo=None)
