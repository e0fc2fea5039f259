"""Writes of a trial that wait for the next transaction of its lease.

Optuna writes each parameter, report and attribute in its own transaction, and needs them only
before the trial ends. A worker writes them in one transaction, which checks its lease.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.engine import Connection

from storage.database.store import Store
from storage.optuna_internals import storage_of, study_id_of, with_storage
from storage.optuna_schema.tables import params, reports, system_attributes, user_attributes
from storage.optuna_schema.writes import (
    Row,
    attribute_row,
    has_ended,
    param_row,
    report_row,
    upsert,
)


class PendingWrites:
    """Optuna's storage for one trial, whose writes wait; writing them twice is safe."""

    def __init__(self, store: Store, study: Study, trial_id: int) -> None:
        self._storage = storage_of(study)
        self._backend = store.optuna_storage
        self._study_id = study_id_of(study)
        self._trial_id = trial_id
        self._trial = self._storage.get_trial(trial_id)
        self._rows: dict[sa.TableClause, dict[str | int, Row]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; this one as it was opened."""
        return self._trial if trial_id == self._trial_id else self._storage.get_trial(trial_id)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the system attributes of a trial."""
        return self.get_trial(trial_id).system_attrs

    def set_trial_param(
        self, trial_id: int, name: str, value: float, distribution: BaseDistribution
    ) -> None:
        """Add a parameter, after checking that the study's distribution of it is compatible."""
        self._backend.check_distribution(self._study_id, name, distribution)
        self._add(params, name, param_row(name, value, distribution_to_json(distribution)))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Add a user attribute."""
        self._add(user_attributes, key, attribute_row(key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Add a system attribute."""
        self._add(system_attributes, key, attribute_row(key, value))

    def set_trial_intermediate_value(self, trial_id: int, step: int, value: float) -> None:
        """Add a report."""
        self._add(reports, step, report_row(step, value))

    def write(self, connection: Connection) -> None:
        """Write what waits, within a transaction, unless the trial has ended."""
        if self._rows and not has_ended(connection, self._trial_id):
            for table, rows in self._rows.items():
                upsert(connection, table, rows.values())

    def clear(self) -> None:
        """Forget what was written, after the commit."""
        self._rows.clear()

    def _add(self, table: sa.TableClause, key: str | int, row: Row) -> None:
        self._rows.setdefault(table, {})[key] = {"trial_id": self._trial_id, **row}


def open_trial(store: Store, study: Study, trial_id: int) -> tuple[optuna.Trial, PendingWrites]:
    """Return Optuna's trial object, and the pending writes that it fills."""
    pending = PendingWrites(store, study, trial_id)
    return optuna.Trial(with_storage(study, pending), trial_id), pending


@contextmanager
def transaction_with(store: Store, pending: PendingWrites | None) -> Iterator[Connection]:
    """Open a transaction, and write pending writes at its end."""
    with store.write() as connection:
        yield connection
        if pending is not None:
            pending.write(connection)
    if pending is not None:
        pending.clear()
