"""Optuna's trials, read by plain SQL: equal to those that its own storage gives, far quicker.

`RDBStorage` builds an object for each row of six tables, and parses each distribution anew.
"""

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial
from sqlalchemy.engine import Connection

from storage.optuna_schema.tables import (
    from_stored,
    params,
    reports,
    system_attributes,
    to_local,
    trials,
    user_attributes,
    values,
)

MAX_IDS_PER_QUERY = 500
"""More trials than this are not named one by one, but read with all that come after the first."""

_distributions: dict[str, BaseDistribution] = {}


def read_distribution(text: str) -> BaseDistribution:
    """Return the distribution that Optuna wrote; trials share it, and nobody changes one."""
    known = _distributions.get(text)
    if known is None:
        known = _distributions[text] = json_to_distribution(text)
    return known


def load_frozen_trials(
    connection: Connection, *conditions: sa.ColumnElement[bool]
) -> list[FrozenTrial]:
    """Return the trials that meet some conditions on Optuna's table of trials, by their ids."""
    rows = connection.execute(
        sa.select(trials).where(*conditions).order_by(trials.c.trial_id)
    ).all()
    frozen = {row.trial_id: _freeze(row) for row in rows}
    if frozen:
        # After the trials: what a trial that has ended then holds, was written before.
        studies = {row.study_id for row in rows}
        for read in (_read_values, _read_params, _read_user, _read_system, _read_reports):
            read(connection, frozen, studies)
    return list(frozen.values())


def _freeze(row: Any) -> FrozenTrial:
    return FrozenTrial(
        number=row.number,
        state=row.state,
        value=None,
        datetime_start=to_local(row.datetime_start),
        datetime_complete=to_local(row.datetime_complete),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=row.trial_id,
    )


Frozen = dict[int, FrozenTrial]


def _select(
    table: sa.TableClause, columns: Sequence[str], frozen: Frozen, studies: Collection[int]
) -> sa.Select[Any]:
    """Select what belongs to the trials, and perhaps to others of their studies."""
    chosen = sa.select(table.c.trial_id, *(table.c[name] for name in columns))
    ids = list(frozen)
    if len(ids) <= MAX_IDS_PER_QUERY:
        return chosen.where(table.c.trial_id.in_(ids))
    return chosen.join(trials, trials.c.trial_id == table.c.trial_id).where(
        trials.c.study_id.in_(studies), table.c.trial_id >= ids[0]
    )


def _read_values(connection: Connection, frozen: Frozen, studies: Collection[int]) -> None:
    query = _select(values, ("objective", "value", "value_type"), frozen, studies)
    found: dict[int, dict[int, float]] = {}
    for trial_id, objective, value, kind in connection.execute(query):
        found.setdefault(trial_id, {})[objective] = from_stored(value, kind)
    for trial_id, by_objective in found.items():
        if trial_id in frozen:
            frozen[trial_id].values = [by_objective[n] for n in range(len(by_objective))]


def _read_params(connection: Connection, frozen: Frozen, studies: Collection[int]) -> None:
    columns = ("param_name", "param_value", "distribution_json")
    query = _select(params, columns, frozen, studies).order_by(params.c.param_id)
    for trial_id, name, value, text in connection.execute(query):
        trial = frozen.get(trial_id)
        if trial is not None:
            distribution = read_distribution(text)
            trial._distributions[name] = distribution
            trial._params[name] = distribution.to_external_repr(value)


def _attributes_reader(
    table: sa.TableClause, name: str
) -> Callable[[Connection, Frozen, Collection[int]], None]:
    def read(connection: Connection, frozen: Frozen, studies: Collection[int]) -> None:
        query = _select(table, ("key", "value_json"), frozen, studies)
        for trial_id, key, text in connection.execute(query):
            trial = frozen.get(trial_id)
            if trial is not None:
                getattr(trial, name)[key] = json.loads(text)

    return read


_read_user = _attributes_reader(user_attributes, "_user_attrs")
_read_system = _attributes_reader(system_attributes, "_system_attrs")


def _read_reports(connection: Connection, frozen: Frozen, studies: Collection[int]) -> None:
    columns = ("step", "intermediate_value", "intermediate_value_type")
    query = _select(reports, columns, frozen, studies)
    for trial_id, step, value, kind in connection.execute(query):
        trial = frozen.get(trial_id)
        if trial is not None:
            trial.intermediate_values[step] = from_stored(value, kind)
