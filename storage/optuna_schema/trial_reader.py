"""Optuna's trials, read by plain SQL: equal to those of Optuna's own storage, and far faster.

`RDBStorage` makes an object of each row of six tables, and parses each distribution again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    json_to_distribution,
)
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
from storage.stored_values import damaged_value, parse_json

ROWS_PER_FETCH = 5_000
MAX_IDS_PER_QUERY = 500
"""A query for more trials than this does not list their ids."""

_distributions: dict[str, BaseDistribution] = {}
_external_values: dict[tuple[str, float], tuple[Any, BaseDistribution]] = {}
"""Values of parameters that are not floats, and their distributions, by what Optuna stored."""


def read_distribution(text: str) -> BaseDistribution:
    """Return the distribution that Optuna wrote as JSON; trials share it unchanged."""
    known = _distributions.get(text)
    if known is None:
        known = _distributions[text] = _parse_distribution(text)
    return known


def _parse_distribution(text: str) -> BaseDistribution:
    try:
        return json_to_distribution(text)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise damaged_value(text, "in trial_params.distribution_json") from error


@dataclass(frozen=True, slots=True)
class TrialSelection:
    """Trials whose other rows are read; a selection of many may include newer trials."""

    study_ids: Collection[int]
    trial_ids: Sequence[int]

    def condition(self, trial_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return the condition on a table's column of trial ids."""
        if len(self.trial_ids) <= MAX_IDS_PER_QUERY:
            return trial_id.in_(self.trial_ids)
        of_studies = sa.select(trials.c.trial_id).where(
            trials.c.study_id.in_(self.study_ids), trials.c.trial_id >= min(self.trial_ids)
        )
        return trial_id.in_(of_studies)

    def select(self, table: sa.TableClause, *columns: str) -> sa.Select[Any]:
        """Select the trial ids and some columns of a table."""
        chosen = sa.select(table.c.trial_id, *(table.c[name] for name in columns))
        return chosen.where(self.condition(table.c.trial_id))


def load_frozen_trials(
    connection: Connection, *conditions: sa.ColumnElement[bool]
) -> list[FrozenTrial]:
    """Return the trials that meet conditions on Optuna's table of trials, by their ids."""
    query = sa.select(trials).where(*conditions).order_by(trials.c.trial_id)
    rows = connection.execute(query).all()
    if not rows:
        return []
    # Read after the trials: the other rows of an ended trial were written before its end.
    selection = TrialSelection({row.study_id for row in rows}, [row.trial_id for row in rows])
    values_of = read_values(connection, selection)
    user_attrs = read_attributes(connection, selection, user_attributes)
    system_attrs = read_attributes(connection, selection, system_attributes)
    reports_of = _read_reports(connection, selection)
    distributions: dict[int, dict[str, BaseDistribution]] = defaultdict(dict)
    params_of = read_params(connection, selection, distributions=distributions)
    return [
        FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            datetime_start=to_local(row.datetime_start),
            datetime_complete=to_local(row.datetime_complete),
            params=params_of[row.trial_id],
            distributions=distributions[row.trial_id],
            user_attrs=user_attrs[row.trial_id],
            system_attrs=system_attrs[row.trial_id],
            intermediate_values=reports_of[row.trial_id],
            trial_id=row.trial_id,
            values=values_of.get(row.trial_id),
        )
        for row in rows
    ]


def read_rows(connection: Connection, query: sa.Select[Any]) -> Iterator[Any]:
    """Yield the rows of a query; to fetch them in one call each takes a third longer."""
    return chain.from_iterable(connection.execute(query).partitions(ROWS_PER_FETCH))


def read_values(connection: Connection, selection: TrialSelection) -> dict[int, list[float]]:
    """Return the values of trials that have any, in the order of the objectives."""
    query = selection.select(values, "value", "value_type").order_by(values.c.objective)
    found: defaultdict[int, list[float]] = defaultdict(list)
    for trial_id, value, kind in read_rows(connection, query):
        found[trial_id].append(from_stored(value, kind))
    return found


def read_params(
    connection: Connection,
    selection: TrialSelection,
    names: Collection[str] | None = None,
    *,
    distributions: dict[int, dict[str, BaseDistribution]] | None = None,
) -> dict[int, dict[str, Any]]:
    """Return parameters by trial id and name, in the order of sampling; fill `distributions`."""
    query = selection.select(params, "param_name", "param_value", "distribution_json")
    if names is not None:
        query = query.where(params.c.param_name.in_(names))
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, name, value, text in read_rows(connection, query.order_by(params.c.param_id)):
        known = _external_values.get((text, value)) or _read_value(text, value)
        found[trial_id][name], distribution = known
        if distributions is not None:
            distributions[trial_id][name] = distribution
    return found


def _read_value(text: str, value: float) -> tuple[Any, BaseDistribution]:
    distribution = read_distribution(text)
    try:
        if isinstance(distribution, CategoricalDistribution) and value < 0:
            raise IndexError(value)
        known = distribution.to_external_repr(value), distribution
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise damaged_value(value, "in trial_params.param_value") from error
    if not isinstance(distribution, FloatDistribution):
        _external_values[text, value] = known
    return known


class JsonAttributes(Mapping[str, Any]):
    """Attributes by key, each parsed when it is first used: configs are long, and few are shown.

    Args:
        texts: The attributes as JSON.
    """

    __slots__ = ("_found", "_texts")

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._found: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._found:
            self._found[key] = parse_json(self._texts[key])
        return self._found[key]

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def read_attributes(
    connection: Connection,
    selection: TrialSelection,
    table: sa.TableClause,
    *conditions: sa.ColumnElement[bool],
) -> defaultdict[int, dict[str, Any]]:
    """Return the attributes of trials that meet conditions, by trial id and key."""
    query = selection.select(table, "key", "value_json").where(*conditions)
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, text in read_rows(connection, query):
        found[trial_id][key] = parse_json(text)
    return found


def read_lazy_attributes(
    connection: Connection, selection: TrialSelection, names: Collection[str] | None
) -> dict[int, JsonAttributes]:
    """Return user attributes by trial id and key, all or those that are named."""
    query = selection.select(user_attributes, "key", "value_json")
    if names is not None:
        query = query.where(user_attributes.c.key.in_(names))
    texts: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for trial_id, key, text in read_rows(connection, query):
        texts[trial_id][key] = text
    return {trial_id: JsonAttributes(found) for trial_id, found in texts.items()}


def _read_reports(
    connection: Connection, selection: TrialSelection
) -> defaultdict[int, dict[int, float]]:
    query = selection.select(reports, "step", "intermediate_value", "intermediate_value_type")
    found: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, value, kind in read_rows(connection, query):
        found[trial_id][step] = from_stored(value, kind)
    return found
