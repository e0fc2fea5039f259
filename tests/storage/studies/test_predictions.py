"""Predictions are stored by trial and split, and each use of a test split is recorded."""

import pytest

from storage import (
    QueuedConfig,
    Store,
    StudyNotFoundError,
    begin_trial,
    create_study,
    delete_study,
    end_if_queue_empty,
    enqueue,
    list_test_uses,
    load_optuna_study,
    load_predictions,
    load_study,
    record_test_use,
    save_predictions,
)


@pytest.fixture
def study_id(store: Store) -> int:
    return create_study(store, "study", settings="{}")[0].study_id


def test_latest_stored_predictions_are_read(store: Store, study_id: int) -> None:
    assert load_predictions(store, study_id, 3, "val") is None
    save_predictions(store, study_id, 3, "val", b"first")
    save_predictions(store, study_id, 3, "val", b"\x00second")
    save_predictions(store, study_id, 3, "test", b"other split")
    save_predictions(store, study_id, 4, "val", b"other trial")
    assert load_predictions(store, study_id, 3, "val") == b"\x00second"


def test_predictions_are_deleted_with_their_study(store: Store, study_id: int) -> None:
    save_predictions(store, study_id, 3, "val", b"old")
    delete_study(store, "study")
    with pytest.raises(StudyNotFoundError):
        save_predictions(store, study_id, 3, "val", b"late")
    new = create_study(store, "study", settings="{}")[0].study_id
    assert load_predictions(store, new, 3, "val") is None


def use(store: Store, trial: int, *, fingerprint: str = "a", command: str = "report") -> None:
    record_test_use(
        store, fingerprint, study="study", trial_number=trial, creation="c", command=command
    )


def test_uses_of_a_test_split_stay_when_the_study_is_deleted(store: Store, study_id: int) -> None:
    use(store, 1)
    use(store, 2)
    use(store, 2, command="again")
    use(store, 1, fingerprint="b")
    delete_study(store, "study")
    found = list_test_uses(store, ["a", "c"])
    assert [(it.trial_number, it.command) for it in found] == [(1, "report"), (2, "report")]
    assert 0 <= found[1].used_at - found[0].used_at < 60


def test_queue_may_have_equal_configs_with_different_attributes(
    store: Store, study_id: int
) -> None:
    queue = [QueuedConfig({"x": 0.5}, {"seed": seed}) for seed in range(2)]
    assert enqueue(store, study_id, queue) == 2
    assert enqueue(store, study_id, [*queue, QueuedConfig({"x": 0.5}, {"seed": 2})]) == 1
    trials = load_optuna_study(store, "study").trials
    assert [trial.user_attrs for trial in trials] == [{"seed": seed} for seed in range(3)]
    assert all(trial.system_attrs["fixed_params"] == {"x": 0.5} for trial in trials)


def test_study_ends_only_when_no_trial_waits(store: Store, study_id: int) -> None:
    enqueue(store, study_id, [QueuedConfig({"x": 0.5})])
    end_if_queue_empty(store, study_id, "done")
    assert load_study(store, "study").end_reason is None
    assert begin_trial(store, study_id, "worker", only_enqueued=True) is not None
    assert begin_trial(store, study_id, "worker", only_enqueued=True) is None
    end_if_queue_empty(store, study_id, "done")
    assert load_study(store, "study").end_reason == "done"
