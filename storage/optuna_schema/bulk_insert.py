"""Many trials added in one transaction; Optuna needs one, and dozens of queries, for each."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import Connection

from storage.optuna_internals import FIXED_PARAMS
from storage.optuna_schema import tables
from storage.optuna_schema.tables import trials
from storage.optuna_schema.trial_reader import TrialSelection, read_attributes
from storage.optuna_schema.writes import (
    Row,
    attribute_row,
    lock_optuna_study,
    param_row,
    report_row,
    value_row,
)
from storage.stored_values import parse_object


@dataclass(frozen=True, slots=True)
class QueuedConfig:
    """A config for a study to train: parameters by name, and user attributes of the trial."""

    params: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def insert_trials(
    connection: Connection, study_id: int, templates: Sequence[FrozenTrial]
) -> list[tuple[int, int]]:
    """Add trials as Optuna's `create_new_trial` adds a template; return their ids and numbers."""
    lock_optuna_study(connection, study_id)
    n_before = connection.execute(
        sa.select(sa.func.count()).select_from(trials).where(trials.c.study_id == study_id)
    ).scalar_one()
    numbers = range(n_before, n_before + len(templates))
    ids = [
        _add_trial(connection, study_id, number, template)
        for number, template in zip(numbers, templates, strict=True)
    ]
    rows: dict[sa.TableClause, list[Row]] = defaultdict(list)
    json_cache: dict[BaseDistribution, str] = {}
    for trial_id, template in zip(ids, templates, strict=True):
        for table, row in _rows_of(template, json_cache):
            rows[table].append({"trial_id": trial_id, **row})
    for table, found in rows.items():
        connection.execute(table.insert(), found)
    return list(zip(ids, numbers, strict=True))


def enqueue_missing(connection: Connection, study_id: int, queue: Iterable[QueuedConfig]) -> int:
    """Enqueue the configs that have no trial, or only failed ones, and return their number."""
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
    """Return the parameters and user attributes of enqueued trials that did not fail."""
    system = tables.system_attributes
    query = (
        sa.select(system.c.trial_id, system.c.value_json)
        .join(trials, trials.c.trial_id == system.c.trial_id)
        .where(
            trials.c.study_id == study_id,
            trials.c.state != TrialState.FAIL,
            system.c.key == FIXED_PARAMS,
        )
    )
    params = {trial_id: parse_object(text) for trial_id, text in connection.execute(query)}
    selection = TrialSelection([study_id], list(params))
    attributes = read_attributes(connection, selection, tables.user_attributes)
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
        datetime_start=tables.to_utc(template.datetime_start),
        datetime_complete=tables.to_utc(template.datetime_complete),
    )
    return int(connection.execute(row.returning(trials.c.trial_id)).scalar_one())


def _rows_of(
    template: FrozenTrial, json_cache: dict[BaseDistribution, str]
) -> Iterator[tuple[sa.TableClause, Row]]:
    """Yield a trial's rows in other tables; trials share distributions as JSON."""
    for objective, value in enumerate(template.values or ()):
        yield tables.values, value_row(objective, value)
    for name, value in template.params.items():
        distribution = template.distributions[name]
        if distribution not in json_cache:
            json_cache[distribution] = distribution_to_json(distribution)
        internal = distribution.to_internal_repr(value)
        yield tables.params, param_row(name, internal, json_cache[distribution])
    for item in template.user_attrs.items():
        yield tables.user_attributes, attribute_row(*item)
    for item in template.system_attrs.items():
        yield tables.system_attributes, attribute_row(*item)
    for step, report in template.intermediate_values.items():
        yield tables.reports, report_row(step, report)
