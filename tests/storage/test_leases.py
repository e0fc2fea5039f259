"""Leases and recovery, on every kind of store."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import optuna
import pytest
from optuna.trial import TrialState

import storage.workers
from storage import (
    Curve,
    EpochRow,
    Lease,
    LeaseLostError,
    Outcome,
    Store,
    attach_trial,
    claim_budget,
    count_done,
    create_study,
    drop_claim,
    finish,
    give_back,
    list_open,
    load_curve,
    load_optuna_study,
    load_trials,
    record_config,
    record_epoch,
    recover,
    register_worker,
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
        claim = claim_budget(self.store, self.study_id, self.worker_id)
        assert claim is not None
        trial = self.study.ask()
        trial.suggest_float("x", 0, 1)
        lease = attach_trial(self.store, claim, trial._trial_id, trial.number)
        assert lease is not None
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


def test_budget_is_claimed_exactly_once(search: Search) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(
                lambda _: claim_budget(search.store, search.study_id, search.worker_id), range(12)
            )
        )
    assert sum(claim is not None for claim in claims) == 3


def test_finished_trial_is_told_to_optuna_with_its_metrics(search: Search) -> None:
    lease = search.begin()
    finish(search.store, search.study, lease, COMPLETE)
    trial = search.study.trials[0]
    assert (trial.state, trial.value, trial.user_attrs["best_epoch"]) == (
        TrialState.COMPLETE,
        0.9,
        2,
    )
    assert count_done(search.store, search.study_id) == 1
    assert list_open(search.store, search.study_id) == []


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
    finish(search.store, search.study, lease, Outcome(kind, "why"))  # type: ignore[arg-type]
    assert search.state(lease) == state
    assert search.study.trials[0].user_attrs["reason"] == "why"
    assert count_done(search.store, search.study_id) == counts


def test_what_does_not_count_frees_its_share_of_the_budget(search: Search) -> None:
    for _ in range(5):
        finish(search.store, search.study, search.begin(), Outcome("fail"))
    for _ in range(3):
        finish(search.store, search.study, search.begin(), COMPLETE)
    assert claim_budget(search.store, search.study_id, search.worker_id) is None


def test_raised_budget_goes_on(search: Search) -> None:
    for _ in range(3):
        search.begin()
    assert claim_budget(search.store, search.study_id, search.worker_id) is None
    set_budget(search.store, search.study_id, n_trials=4, timeout_s=None)
    assert claim_budget(search.store, search.study_id, search.worker_id) is not None


def test_trial_given_back_waits_and_is_taken_with_its_curve(search: Search) -> None:
    lease = search.begin()
    record_epoch(search.store, lease, epoch(1))
    give_back(search.store, search.study, lease)
    assert search.state(lease) == TrialState.WAITING
    taken = take_released(search.store, search.study_id, search.worker_id)
    assert taken is not None
    assert (taken.trial_id, taken.n_losses) == (lease.trial_id, 0)
    assert taken.generation > lease.generation
    record_epoch(search.store, taken, epoch(2))
    assert [row.epoch for row in load_curve(search.store, taken.trial_id or 0)] == [1, 2]


def test_repeated_epoch_stays_as_it_was(search: Search) -> None:
    lease = search.begin()
    record_epoch(search.store, lease, epoch(1, 0.5))
    record_epoch(search.store, lease, epoch(1, 0.7))
    assert [row.val_accuracy for row in load_curve(search.store, lease.trial_id or 0)] == [0.5]


WRITES: dict[str, Callable[[Search, Lease], object]] = {
    "finish": lambda search, lease: finish(search.store, search.study, lease, COMPLETE),
    "record_epoch": lambda search, lease: record_epoch(search.store, lease, epoch(1)),
    "record_config": lambda search, lease: record_config(search.store, lease, "key"),
    "give_back": lambda search, lease: give_back(search.store, search.study, lease),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_worker_whose_trial_was_taken_can_write_nothing(
    search: Search, write: Callable[[Search, Lease], object]
) -> None:
    lease = search.begin()
    give_back(search.store, search.study, lease)
    taken = take_released(search.store, search.study_id, search.worker_id)
    assert taken is not None
    with pytest.raises(LeaseLostError, match="taken by another worker"):
        write(search, lease)
    finish(search.store, search.study, taken, Outcome("complete", value=0.8))
    assert [trial.value for trial in search.study.trials] == [0.8]


def test_optunas_queue_and_ours_never_give_one_trial_twice(search: Search) -> None:
    lease = search.begin()
    give_back(search.store, search.study, lease)
    claim = claim_budget(search.store, search.study_id, search.worker_id)
    assert claim is not None
    popped = search.study.ask()
    assert popped._trial_id == lease.trial_id
    taken = attach_trial(search.store, claim, popped._trial_id, popped.number)
    assert taken is not None
    assert taken.lease_id == lease.lease_id
    assert take_released(search.store, search.study_id, search.worker_id) is None
    assert len(list_open(search.store, search.study_id)) == 1


def test_trial_of_a_dead_worker_waits_again(search: Search) -> None:
    lease = search.begin()
    remove_worker(search.store, search.worker_id)
    assert recover(search.store, search.study) == 1
    assert search.state(lease) == TrialState.WAITING
    taken = take_released(search.store, search.study_id, "other")
    assert taken is not None
    assert taken.n_losses == 1


def test_trial_of_a_silent_worker_waits_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = search.begin()
    assert recover(search.store, search.study) == 0
    monkeypatch.setattr(storage.workers, "GRACE_S", -1.0)
    assert recover(search.store, search.study) == 1
    assert search.state(lease) == TrialState.WAITING


def test_trial_lost_three_times_fails(search: Search) -> None:
    lease: Lease | None = search.begin()
    for _ in range(3):
        assert lease is not None
        give_back(search.store, search.study, lease, lost=True)
        lease = take_released(search.store, search.study_id, search.worker_id)
    assert lease is None
    trial = search.study.trials[0]
    assert (trial.state, trial.user_attrs["reason"]) == (
        TrialState.FAIL,
        "Its worker or trainer was lost 3 times.",
    )


def test_outcome_that_was_not_told_is_told_by_whoever_finds_it(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = search.begin()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("storage.recovery._tell", die)
        with pytest.raises(KeyboardInterrupt):
            finish(search.store, search.study, lease, COMPLETE)
    assert search.state(lease) == TrialState.RUNNING
    remove_worker(search.store, search.worker_id)
    recover(search.store, search.study)
    assert search.study.trials[0].value == 0.9


def test_claim_of_a_dead_worker_is_given_back(search: Search) -> None:
    for _ in range(3):
        claim_budget(search.store, search.study_id, search.worker_id)
    remove_worker(search.store, search.worker_id)
    recover(search.store, search.study)
    assert claim_budget(search.store, search.study_id, "other") is not None


def test_trial_that_optuna_began_for_a_dead_worker_fails(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = search.study.ask()
    assert recover(search.store, search.study) == 0
    monkeypatch.setattr("storage.recovery.GRACE_S", -1.0)
    assert recover(search.store, search.study) == 1
    assert search.study.trials[trial.number].state == TrialState.FAIL


def test_enqueued_trial_of_a_worker_that_died_at_once_waits_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    search.study.enqueue_trial({"x": 0.5})
    trial = search.study.ask()
    monkeypatch.setattr("storage.recovery.GRACE_S", -1.0)
    recover(search.store, search.study)
    assert search.study.trials[trial.number].state == TrialState.WAITING
    assert search.study.ask().number == trial.number


def test_claim_that_was_given_back_cannot_be_used(search: Search) -> None:
    claim = claim_budget(search.store, search.study_id, search.worker_id)
    assert claim is not None
    drop_claim(search.store, claim.lease_id)
    trial = search.study.ask()
    with pytest.raises(LeaseLostError):
        attach_trial(search.store, claim, trial._trial_id, trial.number)


def test_trial_that_goes_on_is_no_repeat_of_a_later_one(search: Search) -> None:
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
    finish(search.store, search.study, lease, COMPLETE)
    search.begin()
    rows = load_trials(search.store, search.study_id)
    trials = search.study.trials
    assert [row.params for row in rows] == [trial.params for trial in trials]
    assert [row.value for row in rows] == [0.9, None]
    assert [row.state for row in rows] == ["COMPLETE", "RUNNING"]
    assert [row.curve for row in rows] == [Curve(2, 4.0, 1, 0.7), Curve()]
    assert rows[0].outcome == COMPLETE
