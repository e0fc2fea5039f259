"""Trials of one study taken over by another, with everything that was found out about them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from optuna.study import Study
from optuna.trial import FrozenTrial

from storage.outcomes import Outcome
from storage.store import Store
from storage.tables import epochs, leases


@dataclass(frozen=True, slots=True)
class Copy:
    """A finished trial to take over: as the new study sees it, and where its curve is.

    `trial` has the new study's distributions; its number is given anew. `config_key` is by which
    the new study knows the config.
    """

    trial: FrozenTrial
    outcome: Outcome
    config_key: str
    source_trial_id: int
    ended_at: float


def copy_trials(
    store: Store,
    study: Study,
    copies: Iterable[Copy],
    on_copy: Callable[[int], None] = lambda _n: None,
) -> list[int]:
    """Adds finished trials to a study, each with its outcome and curve, and gives their numbers.

    A trial comes first and its lease next: one without is ended as an orphan is, so a copy that is
    cut off is to be begun anew.
    """
    numbers = []
    for n_done, copy in enumerate(copies, start=1):
        storage = study._storage
        trial_id = storage.create_new_trial(study._study_id, template_trial=copy.trial)
        number = storage.get_trial_number_from_id(trial_id)
        _copy_rows(store, study._study_id, copy, trial_id, number)
        numbers.append(number)
        on_copy(n_done)
    return numbers


def _copy_rows(store: Store, study_id: int, copy: Copy, trial_id: int, number: int) -> None:
    columns = [column.name for column in epochs.c if column.name != "trial_id"]
    source = sa.select(sa.literal(trial_id), *(epochs.c[name] for name in columns)).where(
        epochs.c.trial_id == copy.source_trial_id
    )
    with store.write() as connection:
        connection.execute(
            leases.insert().values(
                study_id=study_id,
                trial_id=trial_id,
                trial_number=number,
                config_key=copy.config_key,
                outcome=copy.outcome.to_json(),
                kind=copy.outcome.kind,
                ended_at=copy.ended_at,
                counts=copy.outcome.counts,
                told=True,
            )
        )
        connection.execute(epochs.insert().from_select(["trial_id", *columns], source))
