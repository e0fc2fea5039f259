"""Deleting the trials of a study: Optuna's rows and ours together, quickly and bit by bit.

Optuna loads each trial with all that it holds before it deletes it: two seconds for a thousand.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage import optuna_tables as tables
from storage.optuna_tables import trials
from storage.patience import patient
from storage.store import Store
from storage.tables import epochs, leases

BATCH = 500
"""Trials of one transaction: a tenth of a second, for which other writers wait."""
OF_TRIALS = (
    tables.params,
    tables.values,
    tables.reports,
    tables.user_attributes,
    tables.system_attributes,
    sa.table("trial_heartbeats", sa.column("trial_id")),
)


def delete_trials(
    store: Store, study_id: int, progress: Callable[[int, int, str], None] | None = None
) -> None:
    """Deletes all trials of a study, the last first.

    Cut off in between, it leaves a study whose trials are numbered without a gap.

    Args:
        store: The store.
        study_id: The study, to which nobody adds trials any more.
        progress: Told how many trials are deleted.
    """
    ids = _list_ids(store, study_id)
    for start in range(0, len(ids), BATCH):
        _delete_batch(store, ids[start : start + BATCH])
        if progress is not None:
            progress(min(start + BATCH, len(ids)), len(ids), "trials deleted")


@patient
def _list_ids(store: Store, /, study_id: int) -> list[int]:
    query = sa.select(trials.c.trial_id).where(trials.c.study_id == study_id)
    with store.read() as connection:
        return list(connection.scalars(query.order_by(trials.c.number.desc())))


@patient
def _delete_batch(store: Store, /, ids: Sequence[int]) -> None:
    with store.write() as connection:
        if not store.is_plain:
            # Never apart from the trials: SQLite gives their ids to others.
            _delete(connection, leases, ids)
            _delete(connection, epochs, ids)
        for table in (*OF_TRIALS, trials):
            _delete(connection, table, ids)


def _delete(connection: Connection, table: sa.TableClause, ids: Sequence[int]) -> None:
    connection.execute(sa.delete(table).where(table.c.trial_id.in_(ids)))
