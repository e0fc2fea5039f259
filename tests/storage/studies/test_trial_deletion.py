"""Deleting the trials of a study: nothing of them remains, and other trials do not change."""

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import create_trial

from storage import (
    Outcome,
    Store,
    TrialCopy,
    copy_trials,
    create_study,
    delete_study,
    delete_trials,
    load_optuna_study,
    load_trials,
)
from storage.tables import leases

FILLED = (
    *("trials", "trial_params", "trial_values", "trial_intermediate_values"),
    *("trial_user_attributes", "trial_system_attributes", "trial_heartbeats"),
    *("convsearch_leases", "convsearch_epochs"),
)


def fill(store: Store, name: str, n_trials: int = 5) -> int:
    """Make a study whose trials have a row in every table."""
    record, _ = create_study(store, name, settings="{}")
    trial = create_trial(
        value=0.5,
        params={"x": 0.5},
        distributions={"x": optuna.distributions.FloatDistribution(0.0, 1.0)},
        user_attrs={"a": 1},
        system_attrs={"b": 2},
        intermediate_values={1: 0.5},
    )
    outcome = Outcome("complete", value=0.5)
    copies = [TrialCopy(trial, outcome, f"config {n}", 999, 1.0) for n in range(n_trials)]
    copy_trials(store, load_optuna_study(store, name), copies)
    with store.write() as connection:
        for row in load_trials(store, record.study_id):
            ids = {"id": row.trial_id}
            row_values = "(trial_id, heartbeat) VALUES (:id, '2026-01-01')"
            connection.execute(sa.text(f"INSERT INTO trial_heartbeats {row_values}"), ids)
            epoch = "INSERT INTO convsearch_epochs (trial_id, epoch) VALUES (:id, 1)"
            connection.execute(sa.text(epoch), ids)
    return record.study_id


def count(store: Store) -> dict[str, int]:
    with store.read() as connection:
        queries = {name: sa.select(sa.func.count()).select_from(sa.table(name)) for name in FILLED}
        return {name: connection.execute(it).scalar_one() for name, it in queries.items()}


def test_trials_are_deleted_and_those_of_other_studies_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.studies.deletion.BATCH_SIZE", 2)
    fill(store, "other", 3)
    before = count(store)
    study_id = fill(store, "study")
    reported: list[tuple[int, int, str]] = []
    delete_trials(store, study_id, lambda *how_far: reported.append(how_far))
    assert count(store) == before
    assert reported == [(n, 5, "trials deleted") for n in (2, 4, 5)]
    delete_study(store, "study")
    assert count(store) == before


def test_interrupted_deletion_leaves_trials_without_gaps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.studies.deletion.BATCH_SIZE", 2)
    study_id = fill(store, "study")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delete_trials(store, study_id, interrupt)
    assert [row.number for row in load_trials(store, study_id)] == [0, 1, 2]
    with store.read() as connection:
        numbers = connection.scalars(sa.select(leases.c.trial_number).order_by("trial_number"))
        assert list(numbers) == [0, 1, 2]
