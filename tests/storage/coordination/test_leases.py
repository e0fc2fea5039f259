"""Leases and recovery, on every kind of store."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import optuna
import pytest
from optuna.trial import TrialState

import storage.coordination.heartbeats
from storage import (
    Curve,
    EpochRow,
    Lease,
    LeaseLostError,
    Outcome,
    Store,
    StudyNotFoundError,
    begin_trial,
    count_done,
    create_study,
    delete_study,
    end_study,
    finish_trial,
    has_budget_left,
    list_open_leases,
    load_curve,
    load_optuna_study,
    load_trials,
    open_trial,
    record_config,
    record_epoch,
    recover,
    register_worker,
    release_trial,
    remove_worker,
    set_budget,
    take_released,
)

COMPLETE = Outcome("complete", value=0.9, metrics={"best_epoch": 2})


@dataclass
class Search:
    """A study of three trials and a worker of this process."""

    store: Store
    study: optuna.Study
    study_id: int
    worker_id: str

    def begin(self) -> Lease:
        lease = begin_trial(self.store, self.study_id, self.worker_id)
        assert lease is not None
        trial, pending = open_trial(self.store, self.study, lease.trial_id)
        trial.suggest_float("x", 0, 1)
        record_config(self.store, lease, f"key {trial.number}", pending)
        return lease

    def state(self, lease: Lease) -> TrialState:
        return self.study._storage.get_trial(lease.trial_id).state


@pytest.fixture
def search(store: Store) -> Search:
    record, _ = create_study(store, "study", settings="{}", n_trials=3)
    study = load_optuna_study(store, "study")
    return Search(store, study, record.study_id, register_worker(store, record.study_id))


def epoch(number: int, accuracy: float = 0.5) -> EpochRow:
    return EpochRow(number, 1.0, 0.5, 1.0, accuracy, 1e-3, 2.0, 500.0)


def test_budget_is_taken_exactly_once(search: Search) -> None:
    with ThreadPoolExecutor(8) as pool:
        leases = list(
            pool.map(
                lambda _: begin_trial(search.store, search.study_id, search.worker_id), range(12)
            )
        )
    begun = [lease for lease in leases if lease is not None]
    assert sorted(lease.trial_number for lease in begun) == [0, 1, 2]
    assert [trial.number for trial in search.study.trials] == [0, 1, 2]


def test_study_that_has_ended_begins_no_trial(search: Search) -> None:
    end_study(search.store, search.study_id, "five failures", has_failed=True)
    assert not has_budget_left(search.store, search.study_id)
    assert begin_trial(search.store, search.study_id, search.worker_id) is None


def test_deleted_study_is_reported(search: Search) -> None:
    lease = search.begin()
    delete_study(search.store, "study")
    for ask in (
        lambda: has_budget_left(search.store, search.study_id),
        lambda: begin_trial(search.store, search.study_id, search.worker_id),
        lambda: record_config(search.store, lease, "another"),
    ):
        with pytest.raises(StudyNotFoundError, match="was deleted"):
            ask()


def test_reused_trial_ids_have_no_old_records(search: Search) -> None:
    """SQLite reuses ids."""
    store = search.store
    create_study(store, "later", settings="{}", n_trials=3)
    later = Search(store, load_optuna_study(store, "later"), 2, search.worker_id)
    for _ in range(2):
        record_epoch(store, later.begin(), epoch(1))
    optuna.delete_study(study_name="later", storage=store.optuna_storage)
    first = search.begin()
    assert load_curve(store, first.trial_id) == []
    finish_trial(store, first, COMPLETE)
    assert count_done(store, search.study_id) == 1


def test_trial_begins_like_one_of_optuna(search: Search) -> None:
    search.begin()
    theirs = search.study.ask()
    theirs.suggest_float("x", 0, 1)
    ours, optunas = search.study.trials
    assert (ours.number, optunas.number) == (0, 1)
    assert (ours.state, ours.distributions) == (optunas.state, optunas.distributions)
    assert ours.datetime_start is not None
    assert optunas.datetime_start is not None
    assert 0 <= (optunas.datetime_start - ours.datetime_start).total_seconds() < 60


def test_enqueued_trial_is_begun_first(search: Search) -> None:
    search.study.enqueue_trial({"x": 0.5})
    lease = search.begin()
    assert (lease.trial_number, search.study.trials[0].params) == (0, {"x": 0.5})
    assert search.begin().trial_number == 1


def test_trial_that_was_begun_without_a_reply_is_found_again(search: Search) -> None:
    unheard = search.begin()
    lease = take_released(search.store, search.study_id, search.worker_id)
    assert lease is not None
    assert (lease.trial_id, lease.n_losses) == (unheard.trial_id, 0)
    assert take_released(search.store, search.study_id, "other") is None


def test_finished_trial_is_written_to_optuna_with_its_metrics(search: Search) -> None:
    lease = search.begin()
    finish_trial(search.store, lease, COMPLETE)
    trial = search.study.trials[0]
    assert (trial.state, trial.value, trial.user_attrs["best_epoch"]) == (
        TrialState.COMPLETE,
        0.9,
        2,
    )
    assert count_done(search.store, search.study_id) == 1
    assert list_open_leases(search.store, search.study_id) == []


@pytest.mark.parametrize(
    ("kind", "state", "counts"),
    [
        ("pruned", TrialState.PRUNED, 1),
        ("unfit", TrialState.PRUNED, 1),
        ("rejected", TrialState.PRUNED, 0),
        ("repeat", TrialState.FAIL, 0),
        ("fail", TrialState.FAIL, 0),
    ],
)
def test_each_ending_has_its_state_and_its_share_of_the_budget(
    search: Search, kind: str, state: TrialState, counts: int
) -> None:
    lease = search.begin()
    finish_trial(search.store, lease, Outcome(kind, "why"))  # type: ignore[arg-type]
    assert search.state(lease) == state
    assert search.study.trials[0].user_attrs["reason"] == "why"
    assert count_done(search.store, search.study_id) == counts


def test_trial_that_does_not_count_frees_its_unit_of_the_budget(search: Search) -> None:
    for _ in range(5):
        finish_trial(search.store, search.begin(), Outcome("fail"))
    for _ in range(3):
        finish_trial(search.store, search.begin(), COMPLETE)
    assert begin_trial(search.store, search.study_id, search.worker_id) is None


def test_raised_budget_allows_more_trials(search: Search) -> None:
    for _ in range(3):
        search.begin()
    assert begin_trial(search.store, search.study_id, search.worker_id) is None
    set_budget(search.store, search.study_id, n_trials=4, timeout_s=None)
    assert begin_trial(search.store, search.study_id, search.worker_id) is not None


def test_released_trial_waits_and_is_taken_with_its_curve(search: Search) -> None:
    lease = search.begin()
    record_epoch(search.store, lease, epoch(1))
    release_trial(search.store, lease)
    assert search.state(lease) == TrialState.WAITING
    taken = take_released(search.store, search.study_id, search.worker_id)
    assert taken is not None
    assert (taken.trial_id, taken.n_losses) == (lease.trial_id, 0)
    assert taken.generation > lease.generation
    record_epoch(search.store, taken, epoch(2))
    assert [row.epoch for row in load_curve(search.store, taken.trial_id or 0)] == [1, 2]


def test_repeated_epoch_does_not_change_the_curve(search: Search) -> None:
    lease = search.begin()
    record_epoch(search.store, lease, epoch(1, 0.5))
    record_epoch(search.store, lease, epoch(1, 0.7))
    assert [row.val_accuracy for row in load_curve(search.store, lease.trial_id or 0)] == [0.5]


WRITES: dict[str, Callable[[Search, Lease], object]] = {
    "finish": lambda search, lease: finish_trial(search.store, lease, COMPLETE),
    "record_epoch": lambda search, lease: record_epoch(search.store, lease, epoch(1)),
    "record_config": lambda search, lease: record_config(search.store, lease, "key"),
    "give_back": lambda search, lease: release_trial(search.store, lease),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_worker_whose_trial_was_taken_can_write_nothing(
    search: Search, write: Callable[[Search, Lease], object]
) -> None:
    lease = search.begin()
    release_trial(search.store, lease)
    taken = take_released(search.store, search.study_id, search.worker_id)
    assert taken is not None
    with pytest.raises(LeaseLostError, match="taken by another worker"):
        write(search, lease)
    finish_trial(search.store, taken, Outcome("complete", value=0.8))
    assert [trial.value for trial in search.study.trials] == [0.8]


def test_no_trial_is_taken_from_both_queues(search: Search) -> None:
    lease = search.begin()
    release_trial(search.store, lease)
    begun = begin_trial(search.store, search.study_id, search.worker_id)
    assert begun is not None
    assert begun.trial_number == 1
    taken = take_released(search.store, search.study_id, "other")
    assert taken is not None
    assert (taken.lease_id, taken.trial_number) == (lease.lease_id, 0)


def test_trial_of_a_dead_worker_waits_again(search: Search) -> None:
    lease = search.begin()
    remove_worker(search.store, search.worker_id)
    assert recover(search.store, search.study._study_id) == 1
    assert search.state(lease) == TrialState.WAITING
    taken = take_released(search.store, search.study_id, "other")
    assert taken is not None
    assert taken.n_losses == 1


def test_trial_of_a_silent_worker_waits_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = search.begin()
    assert recover(search.store, search.study._study_id) == 0
    monkeypatch.setattr(storage.coordination.heartbeats, "GRACE_S", -1.0)
    assert recover(search.store, search.study._study_id) == 1
    assert search.state(lease) == TrialState.WAITING


def test_trial_lost_three_times_fails(search: Search) -> None:
    lease: Lease | None = search.begin()
    for _ in range(3):
        assert lease is not None
        release_trial(search.store, lease, lost=True)
        lease = take_released(search.store, search.study_id, search.worker_id)
    assert lease is None
    trial = search.study.trials[0]
    assert (trial.state, trial.user_attrs["reason"]) == (
        TrialState.FAIL,
        "Its worker or trainer was lost 3 times.",
    )


def test_outcome_missing_in_optuna_is_written_by_recovery(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = search.begin()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("storage.coordination.recovery.end_trial", die)
        with pytest.raises(KeyboardInterrupt):
            finish_trial(search.store, lease, COMPLETE)
    assert search.state(lease) == TrialState.RUNNING
    assert count_done(search.store, search.study_id) == 1
    remove_worker(search.store, search.worker_id)
    recover(search.store, search.study._study_id)
    assert search.study.trials[0].value == 0.9


def test_trial_that_optuna_began_for_a_dead_worker_fails(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = search.study.ask()
    assert recover(search.store, search.study._study_id) == 0
    monkeypatch.setattr("storage.coordination.recovery.GRACE_S", -1.0)
    assert recover(search.store, search.study._study_id) == 1
    assert search.study.trials[trial.number].state == TrialState.FAIL


def test_enqueued_trial_of_a_worker_that_died_at_once_waits_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.study.enqueue_trial({"x": 0.5})
    trial = search.study.ask()
    monkeypatch.setattr("storage.coordination.recovery.GRACE_S", -1.0)
    recover(search.store, search.study._study_id)
    assert search.study.trials[trial.number].state == TrialState.WAITING
    assert search.study.ask().number == trial.number


def test_resumed_trial_is_no_repeat_of_a_later_one(search: Search) -> None:
    first, second = search.begin(), search.begin()
    assert record_config(search.store, first, "key") is None
    assert record_config(search.store, second, "key") == first.trial_number
    assert record_config(search.store, first, "key") is None


def test_config_tried_before_is_named(search: Search) -> None:
    first, second, third = search.begin(), search.begin(), search.begin()
    assert record_config(search.store, first, "key") is None
    assert record_config(search.store, second, "other") is None
    assert record_config(search.store, third, "key") == first.trial_number


def test_table_of_trials_agrees_with_optuna(search: Search) -> None:
    lease = search.begin()
    record_epoch(search.store, lease, epoch(1, 0.7))
    record_epoch(search.store, lease, epoch(2, 0.6))
    finish_trial(search.store, lease, COMPLETE)
    search.begin()
    rows = load_trials(search.store, search.study_id)
    trials = search.study.trials
    assert [row.params for row in rows] == [trial.params for trial in trials]
    assert [row.value for row in rows] == [0.9, None]
    assert [row.state for row in rows] == ["COMPLETE", "RUNNING"]
    assert [row.curve for row in rows] == [Curve(2, 4.0, 1, 0.7, 500.0), Curve()]
    assert rows[0].outcome == COMPLETE


def test_pending_writes_are_written_under_the_lease_or_not_at_all(search: Search) -> None:
    lease = search.begin()
    trial, pending = open_trial(search.store, search.study, lease.trial_id)
    trial.report(0.5, 1)
    trial.set_user_attr("note", "text")
    trial.set_constraint("size", -1)
    assert trial.constraints == {"size": -1}
    assert search.study.trials[0].intermediate_values == {}
    record_epoch(search.store, lease, epoch(1), pending)
    written = search.study.trials[0]
    assert (written.intermediate_values, written.user_attrs) == ({1: 0.5}, {"note": "text"})
    assert written.constraints == {"size": -1}
    release_trial(search.store, lease)
    trial.report(0.7, 2)
    with pytest.raises(LeaseLostError):
        record_epoch(search.store, lease, epoch(2), pending)
    assert search.study.trials[0].intermediate_values == {1: 0.5}


def test_pending_writes_may_be_written_again(search: Search) -> None:
    lease = search.begin()
    trial, pending = open_trial(search.store, search.study, lease.trial_id)
    trial.suggest_int("n", 1, 9)
    trial.report(0.5, 1)
    for _ in range(2):
        with search.store.write() as connection:
            pending.write(connection)
    assert search.study.trials[0].params == {**trial.params}
    assert search.study.trials[0].intermediate_values == {1: 0.5}


def test_parameter_that_changes_its_kind_is_refused(search: Search) -> None:
    search.begin()
    trial, _ = open_trial(search.store, search.study, search.begin().trial_id)
    with pytest.raises(ValueError, match="distribution"):
        trial.suggest_int("x", 0, 1)


def test_pruned_trial_keeps_its_last_report(search: Search) -> None:
    for reports, value in (([0.3, 0.2], 0.2), ([0.3, math.nan], None), ([math.inf], math.inf)):
        lease = search.begin()
        trial, pending = open_trial(search.store, search.study, lease.trial_id)
        for step, reported in enumerate(reports, start=1):
            trial.report(reported, step)
        finish_trial(search.store, lease, Outcome("pruned"), pending)
        assert search.study.trials[lease.trial_number].value == value


def test_trial_that_was_ended_in_optuna_is_not_changed(search: Search) -> None:
    lease = search.begin()
    search.study.tell(lease.trial_number, 0.4)
    finish_trial(search.store, lease, COMPLETE)
    assert search.study.trials[0].value == 0.4
    assert list_open_leases(search.store, search.study_id) == []
