"""A trial as its worker fills it in: what it writes waits for one of our transactions.

Optuna writes each parameter, report and attribute in a transaction of its own. It promises no
more than that they are there before the trial's state is, so a worker gathers them, and they go
with the lease that they depend on: all of them under one check that the trial is still its own.
"""

import json
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
from storage.optuna_schema.tables import (
    params,
    reports,
    system_attributes,
    to_stored,
    user_attributes,
)
from storage.optuna_schema.writes import Row, has_ended, upsert


class PendingWrites:
    """Optuna's storage as one trial sees it: reading is the storage's, writing waits.

    It may be written again: where only the answer to a commit was lost, nothing is there twice.
    """

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
        """Return a trial; of its own the one that it was opened with."""
        return self._trial if trial_id == self._trial_id else self._storage.get_trial(trial_id)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the attributes that Optuna keeps, those that wait too."""
        return self.get_trial(trial_id).system_attrs

    def set_trial_param(
        self, trial_id: int, name: str, value: float, distribution: BaseDistribution
    ) -> None:
        """Take down a parameter.

        Raises:
            ValueError: If the study knows it with another kind of distribution.
        """
        self._backend.check_distribution(self._study_id, name, distribution)
        text = distribution_to_json(distribution)
        self._add(params, name, param_name=name, param_value=value, distribution_json=text)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Take down an attribute of ours."""
        self._add(user_attributes, key, key=key, value_json=json.dumps(value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Take down an attribute of Optuna's."""
        self._add(system_attributes, key, key=key, value_json=json.dumps(value))

    def set_trial_intermediate_value(self, trial_id: int, step: int, value: float) -> None:
        """Take down a report."""
        stored, kind = to_stored(value)
        self._add(
            reports, step, step=step, intermediate_value=stored, intermediate_value_type=kind
        )

    def write(self, connection: Connection) -> None:
        """Write what waits, within a transaction; a trial that has ended takes no more."""
        if self._rows and not has_ended(connection, self._trial_id):
            for table, rows in self._rows.items():
                upsert(connection, table, rows.values())

    def clear(self) -> None:
        """Forget what was written, once the transaction is through."""
        self._rows.clear()

    def _add(self, table: sa.TableClause, row_key: str | int, /, **values: Any) -> None:
        self._rows.setdefault(table, {})[row_key] = {"trial_id": self._trial_id, **values}


def open_trial(store: Store, study: Study, trial_id: int) -> tuple[optuna.Trial, PendingWrites]:
    """Return Optuna's handle of a trial, and the draft that holds what is written with it."""
    pending = PendingWrites(store, study, trial_id)
    return optuna.Trial(with_storage(study, pending), trial_id), pending


@contextmanager
def transaction_with(store: Store, pending: PendingWrites | None) -> Iterator[Connection]:
    """Open a transaction that ends with what waits in a draft."""
    with store.write() as connection:
        yield connection
        if pending is not None:
            pending.write(connection)
    if pending is not None:
        pending.clear()
