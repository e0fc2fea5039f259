"""Creating studies: the queue of a new study is written once, before workers see it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from storage import (
    QueuedConfig,
    Store,
    StudyNotFoundError,
    create_study,
    list_studies,
    load_optuna_study,
)

QUEUE = [{"rate": 0.1, "width": 8}, {"rate": 0.2, "width": 16}]


def queued(store: Store) -> list[dict[str, object]]:
    trials = load_optuna_study(store, "study").get_trials(states=(TrialState.WAITING,))
    return [trial.system_attrs["fixed_params"] for trial in trials]


@contextmanager
def cut_before_record(store: Store) -> Iterator[None]:
    """Make writing our record fail, as if the process were killed."""

    def fail(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO convsearch_studies"):
            raise KeyboardInterrupt

    sa.event.listen(store.engine, "before_cursor_execute", fail)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", fail)


def test_queue_equals_one_written_by_optuna(store: Store) -> None:
    create_study(store, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE)))
    other = optuna.create_study(storage=store.optuna_storage, study_name="other")
    for params in QUEUE:
        other.enqueue_trial(params)
    ours, optunas = load_optuna_study(store, "study").trials, other.trials
    for trial, expected in zip(ours, optunas, strict=True):
        expected._trial_id = trial._trial_id
    assert ours == optunas


def test_partly_created_study_gets_its_queue_from_the_next_submission(store: Store) -> None:
    with cut_before_record(store):
        create_study(store, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE)))
    assert list_studies(store) == []
    assert queued(store) == []
    assert create_study(store, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE)))[1]
    assert queued(store) == QUEUE


def test_config_that_waits_already_is_not_queued_twice(store: Store) -> None:
    study = optuna.create_study(
        storage=store.optuna_storage, study_name="study", direction="maximize"
    )
    study.enqueue_trial(QUEUE[0])
    assert create_study(store, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE)))[1]
    assert queued(store) == QUEUE


def test_second_submission_queues_nothing(store: Store) -> None:
    assert create_study(store, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE)))[1]
    assert not create_study(store, "study", settings="{}", queue=[QueuedConfig({"rate": 0.9})])[1]
    assert queued(store) == QUEUE


def test_study_created_at_once_by_many_has_its_queue_once(store: Store, store_url: str) -> None:
    def create(_: int) -> bool:
        mine = Store.open(store_url)
        try:
            return create_study(
                mine, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE))
            )[1]
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(create, range(4))) == 1
    assert queued(store) == QUEUE


def test_study_deleted_while_it_is_created_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = optuna.create_study

    def create_and_delete(**options: object) -> optuna.Study:
        study = create(**options)  # type: ignore[arg-type]
        optuna.delete_study(study_name="study", storage=store.optuna_storage)
        return study

    monkeypatch.setattr("storage.studies.creation.optuna.create_study", create_and_delete)
    with pytest.raises(StudyNotFoundError, match="deleted meanwhile"):
        create_study(store, "study", settings="{}", queue=list(map(QueuedConfig, QUEUE)))


def test_new_study_has_no_records_of_one_deleted_with_optuna(store: Store) -> None:
    """SQLite reuses its id."""
    create_study(store, "old", settings="old", n_trials=3)
    optuna.delete_study(study_name="old", storage=store.optuna_storage)
    record, is_new = create_study(store, "new", settings="new", n_trials=5)
    assert is_new
    assert (record.settings, record.n_trials) == ("new", 5)
