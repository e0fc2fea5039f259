"""Copies of trials from one study to another, with outcomes and curves."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_internals import study_id_of
from storage.optuna_schema.bulk_insert import insert_trials
from storage.optuna_schema.writes import lock_optuna_study
from storage.tables import epochs, leases
from storage.trial_outcomes import Outcome

BATCH_SIZE = 100
"""Trials in one transaction, for which other writers wait: a tenth of a second."""


@dataclass(frozen=True, slots=True)
class TrialCopy:
    """A finished trial to copy.

    `trial` has the new study's distributions, and gets a new number. `config_key` is the key of
    its config in the new study, `source_trial_id` the trial whose curve is copied.
    """

    trial: FrozenTrial
    outcome: Outcome
    config_key: str
    source_trial_id: int
    ended_at: float


def copy_trials(
    store: Store,
    study: Study,
    copies: Iterable[TrialCopy],
    on_copy: Callable[[int], None] = lambda _n: None,
) -> list[int]:
    """Add finished trials to a study, each with its outcome and curve, and return their numbers.

    For a config that the study has already, no trial is added, and the number of its trial is
    returned. `on_copy` is called after each batch with the number of copied trials.

    Raises:
        ValueError: If a parameter's distribution is not compatible with the study's own.
        StudyNotFoundError: If the study is deleted meanwhile.
    """
    numbers: list[int] = []
    for batch in _batches(copies):
        for name, distribution in dict(_distributions(batch)).items():
            store.optuna_storage.check_distribution(study_id_of(study), name, distribution)
        numbers += _copy_batch(store, study_id_of(study), batch)
        on_copy(len(numbers))
    return numbers


def _batches(copies: Iterable[TrialCopy]) -> Iterator[list[TrialCopy]]:
    left = iter(copies)
    while batch := list(islice(left, BATCH_SIZE)):
        yield batch


def _distributions(batch: Sequence[TrialCopy]) -> Iterator[tuple[str, BaseDistribution]]:
    return (item for copy in batch for item in copy.trial.distributions.items())


@with_retry
def _copy_batch(store: Store, /, study_id: int, batch: Sequence[TrialCopy]) -> list[int]:
    """Add trials, leases and epochs in one transaction."""
    with store.write() as connection:
        lock_optuna_study(connection, study_id)
        numbers = _known_numbers(connection, study_id, batch)
        fresh = list({it.config_key: it for it in batch if it.config_key not in numbers}.values())
        added = insert_trials(connection, study_id, [it.trial for it in fresh])
        for copy, (trial_id, number) in zip(fresh, added, strict=True):
            numbers[copy.config_key] = number
            _copy_curve(connection, copy, trial_id)
        if fresh:
            rows = [
                _lease_row(copy, study_id, *ids) for copy, ids in zip(fresh, added, strict=True)
            ]
            connection.execute(leases.insert(), rows)
    return [numbers[copy.config_key] for copy in batch]


def _known_numbers(
    connection: Connection, study_id: int, batch: Sequence[TrialCopy]
) -> dict[str, int]:
    """Return the numbers of existing trials by config, since this may be a retry."""
    found = connection.execute(
        sa.select(leases.c.config_key, leases.c.trial_number).where(
            leases.c.study_id == study_id,
            leases.c.config_key.in_([copy.config_key for copy in batch]),
        )
    )
    return {row.config_key: row.trial_number for row in found}


def _lease_row(copy: TrialCopy, study_id: int, trial_id: int, number: int) -> dict[str, object]:
    return {
        "study_id": study_id,
        "trial_id": trial_id,
        "trial_number": number,
        "config_key": copy.config_key,
        "outcome": copy.outcome.to_json(),
        "kind": copy.outcome.kind,
        "ended_at": copy.ended_at,
        "counts": copy.outcome.counts,
        "told": True,
    }


def _copy_curve(connection: Connection, copy: TrialCopy, trial_id: int) -> None:
    columns = [column.name for column in epochs.c if column.name != "trial_id"]
    source = sa.select(sa.literal(trial_id), *(epochs.c[name] for name in columns)).where(
        epochs.c.trial_id == copy.source_trial_id
    )
    connection.execute(epochs.insert().from_select(["trial_id", *columns], source))
