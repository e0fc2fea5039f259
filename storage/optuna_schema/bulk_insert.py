"""Trials added whole, many within one transaction, as Optuna's `create_new_trial` adds a template.

Which takes a transaction and dozens of queries for each of them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import Connection

from storage.optuna_internals import FIXED_PARAMS
from storage.optuna_schema import tables
from storage.optuna_schema.tables import to_stored, trials
from storage.optuna_schema.writes import Row, lock_optuna_study


@dataclass(frozen=True, slots=True)
class QueuedConfig:
    """A config that a study is to train: its parameters by name, and attributes of the trial."""

    params: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def insert_trials(
    connection: Connection, study_id: int, templates: Sequence[FrozenTrial]
) -> list[tuple[int, int]]:
    """Add trials to a study with all that they hold, and return their ids and numbers.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    lock_optuna_study(connection, study_id)
    n_before = connection.execute(
        sa.select(sa.func.count()).select_from(trials).where(trials.c.study_id == study_id)
    ).scalar_one()
    numbers = range(n_before, n_before + len(templates))
    ids = [
        _add_trial(connection, study_id, number, template)
        for number, template in zip(numbers, templates, strict=True)
    ]
    json_cache: dict[BaseDistribution, str] = {}
    for table, read in _READERS.items():
        rows = [
            {"trial_id": trial_id, **row}
            for trial_id, template in zip(ids, templates, strict=True)
            for row in read(template, json_cache)
        ]
        if rows:
            connection.execute(table.insert(), rows)
    return list(zip(ids, numbers, strict=True))


def enqueue_missing(connection: Connection, study_id: int, queue: Iterable[QueuedConfig]) -> int:
    """Add a waiting trial for each config, as Optuna's `enqueue_trial` does, but none twice.

    One whose trial failed is added again.

    Returns:
        How many were added.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    known: dict[str, list[Attributes]] = {}
    for params, attributes in _load_queued(connection, study_id):
        known.setdefault(_key(params), []).append(attributes)
    templates = [
        create_trial(
            state=TrialState.WAITING,
            system_attrs={FIXED_PARAMS: dict(item.params)},
            user_attrs=dict(item.attributes),
        )
        for item in queue
        if not any(_has_attributes(item, it) for it in known.get(_key(item.params), ()))
    ]
    insert_trials(connection, study_id, templates)
    return len(templates)


Attributes = Mapping[str, Any]


def _load_queued(connection: Connection, study_id: int) -> list[tuple[Attributes, Attributes]]:
    """Return the parameters and the attributes of trials that were enqueued and did not fail."""
    system, user = tables.system_attributes, tables.user_attributes
    query = (
        sa.select(system.c.trial_id, system.c.value_json)
        .join(trials, trials.c.trial_id == system.c.trial_id)
        .where(
            trials.c.study_id == study_id,
            trials.c.state != TrialState.FAIL,
            system.c.key == FIXED_PARAMS,
        )
    )
    params = {trial_id: json.loads(text) for trial_id, text in connection.execute(query)}
    attributes: dict[int, dict[str, Any]] = {trial_id: {} for trial_id in params}
    if params:
        of_study = sa.select(trials.c.trial_id).where(trials.c.study_id == study_id)
        rows = connection.execute(
            sa.select(user.c.trial_id, user.c.key, user.c.value_json).where(
                user.c.trial_id.in_(of_study)
            )
        )
        for trial_id, key, text in rows:
            if trial_id in attributes:
                attributes[trial_id][key] = json.loads(text)
    return [(params[trial_id], attributes[trial_id]) for trial_id in params]


def _key(params: Attributes) -> str:
    return json.dumps(dict(params), sort_keys=True)


def _has_attributes(item: QueuedConfig, attributes: Attributes) -> bool:
    wanted = json.loads(json.dumps(dict(item.attributes)))
    return bool(attributes.items() >= wanted.items())


def _add_trial(connection: Connection, study_id: int, number: int, template: FrozenTrial) -> int:
    row = trials.insert().values(
        study_id=study_id,
        number=number,
        state=template.state,
        datetime_start=_to_utc(template.datetime_start),
        datetime_complete=_to_utc(template.datetime_complete),
    )
    return int(connection.execute(row.returning(trials.c.trial_id)).scalar_one())


def _to_utc(local: datetime | None) -> datetime | None:
    """Return a time of Optuna's trials as its tables hold it."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)


JsonCache = dict[BaseDistribution, str]
"""Distributions as JSON, which many trials share."""


def _read_values(template: FrozenTrial, _: JsonCache) -> Iterator[Row]:
    for objective, value in enumerate(template.values or ()):
        stored, kind = to_stored(value)
        yield {"objective": objective, "value": stored, "value_type": kind}


def _read_params(template: FrozenTrial, json_cache: JsonCache) -> Iterator[Row]:
    for name, value in template.params.items():
        distribution = template.distributions[name]
        if distribution not in json_cache:
            json_cache[distribution] = distribution_to_json(distribution)
        yield {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": json_cache[distribution],
        }


def _read_user(template: FrozenTrial, _: JsonCache) -> Iterator[Row]:
    for key, value in template.user_attrs.items():
        yield {"key": key, "value_json": json.dumps(value)}


def _read_system(template: FrozenTrial, _: JsonCache) -> Iterator[Row]:
    for key, value in template.system_attrs.items():
        yield {"key": key, "value_json": json.dumps(value)}


def _read_reports(template: FrozenTrial, _: JsonCache) -> Iterator[Row]:
    for step, value in template.intermediate_values.items():
        stored, kind = to_stored(value)
        yield {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}


_READERS = {
    tables.values: _read_values,
    tables.params: _read_params,
    tables.user_attributes: _read_user,
    tables.system_attributes: _read_system,
    tables.reports: _read_reports,
}
