"""Open studies: which one a standing worker serves next, on every kind of store."""

import time
from collections.abc import Callable
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa

from storage import (
    Outcome,
    Store,
    StudyNotFoundError,
    StudyRecord,
    begin_trial,
    create_study,
    end_study,
    finish_trial,
    join_next_study,
    list_open_studies,
    list_workers,
    load_study,
    register_worker,
    release_trial,
    remove_worker,
    send_heartbeat,
    set_budget,
    set_stopped,
)
from storage.coordination.leases import Lease
from storage.tables import studies, workers

MakeStudy = Callable[..., StudyRecord]


@pytest.fixture
def make_study(store: Store) -> MakeStudy:
    def make(name: str, *, n_trials: int | None = 4, priority: int = 0) -> StudyRecord:
        return create_study(store, name, settings="{}", n_trials=n_trials, priority=priority)[0]

    return make


def names(store: Store, worker_id: str | None = None) -> list[str]:
    return [row.name for row in list_open_studies(store, worker_id)]


def begin(store: Store, record: StudyRecord, worker_id: str) -> Lease:
    lease = begin_trial(store, record.study_id, worker_id)
    assert lease is not None
    return lease


def spend(store: Store, record: StudyRecord, n_trials: int) -> None:
    worker_id = register_worker(store, record.study_id)
    for _ in range(n_trials):
        lease = begin(store, record, worker_id)
        finish_trial(store, lease, Outcome("complete", value=0.5))
    remove_worker(store, worker_id)


def test_higher_priority_comes_first_and_then_the_oldest(
    store: Store, make_study: MakeStudy
) -> None:
    for name, priority in (("old", 0), ("young", 0), ("low", -1), ("urgent", 3)):
        make_study(name, priority=priority)
    assert names(store) == ["urgent", "old", "young", "low"]


def test_workers_are_divided_by_the_remaining_budget(store: Store, make_study: MakeStudy) -> None:
    make_study("small", n_trials=10)
    make_study("large", n_trials=30)
    joined = [join_next_study(store, f"worker {i}", device="cpu") for i in range(8)]
    served = [row.name for row in joined if row is not None]
    assert (served.count("small"), served.count("large")) == (2, 6)


def test_study_without_a_number_of_trials_weighs_as_thirty(
    store: Store, make_study: MakeStudy
) -> None:
    make_study("bounded", n_trials=30)
    make_study("endless", n_trials=None)
    joined = [join_next_study(store, f"worker {i}", device="cpu") for i in range(4)]
    assert [row.name for row in joined if row] == ["bounded", "endless"] * 2


def test_study_whose_trials_are_all_taken_is_open_and_has_no_work(
    store: Store, make_study: MakeStudy
) -> None:
    record = make_study("one", n_trials=1)
    worker_id = register_worker(store, record.study_id)
    lease = begin(store, record, worker_id)
    (row,) = list_open_studies(store)
    assert (row.has_work, row.n_left, row.n_workers) == (False, 1, 1)
    assert join_next_study(store, "another", device="cpu") is None
    release_trial(store, lease)
    (row,) = list_open_studies(store)
    assert row.has_work


def test_trial_of_a_dead_worker_is_work(store: Store, make_study: MakeStudy) -> None:
    record = make_study("one", n_trials=1)
    worker_id = register_worker(store, record.study_id)
    begin(store, record, worker_id)
    with store.write() as connection:
        connection.execute(workers.update().values(last_seen=0.0))
    (row,) = list_open_studies(store)
    assert (row.has_work, row.n_workers) == (True, 0)


def test_spent_ended_stopped_and_timed_out_studies_are_not_open(
    store: Store, make_study: MakeStudy
) -> None:
    spend(store, make_study("spent", n_trials=1), 1)
    end_study(store, make_study("ended").study_id, "The space is exhausted.")
    set_stopped(store, make_study("stopped").study_id, True)
    timed = make_study("timed")
    set_budget(store, timed.study_id, n_trials=None, timeout_s=10.0)
    with store.write() as connection:
        connection.execute(
            studies.update().where(studies.c.study_id == timed.study_id).values(active_s=10.0)
        )
    make_study("open")
    assert names(store) == ["open"]


def test_budget_set_again_reopens_a_stopped_study_with_its_priority(
    store: Store, make_study: MakeStudy
) -> None:
    record = make_study("study", priority=5)
    set_stopped(store, record.study_id, True)
    assert load_study(store, "study").is_stopped
    set_budget(store, record.study_id, n_trials=9, timeout_s=None)
    again = load_study(store, "study")
    assert (again.is_stopped, again.priority, again.n_trials) == (False, 5, 9)
    set_budget(store, record.study_id, n_trials=9, timeout_s=None, priority=-2)
    assert load_study(store, "study").priority == -2


def test_worker_is_registered_in_one_study_only(store: Store, make_study: MakeStudy) -> None:
    first, second = make_study("first"), make_study("second")
    assert join_next_study(store, "me", device="gpu 1") is not None
    (row,) = list_workers(store, first.study_id)
    assert (row.worker_id, row.device) == ("me", "gpu 1")
    join_next_study(store, "me", device="gpu 1", skipped={first.study_id})
    assert list_workers(store, first.study_id) == []
    assert [row.worker_id for row in list_workers(store, second.study_id)] == ["me"]
    assert join_next_study(store, "me", device="cpu", skipped={1, 2}) is None
    assert list_workers(store, second.study_id) == []


def test_requesting_worker_does_not_count_against_its_own_study(
    store: Store, make_study: MakeStudy
) -> None:
    make_study("first")
    make_study("second")
    join_next_study(store, "me", device="cpu")
    assert names(store, "me") == ["first", "second"]
    assert names(store) == ["second", "first"]


def test_workers_that_choose_at_the_same_time_are_spread_evenly(
    store_url: str, store: Store, make_study: MakeStudy
) -> None:
    make_study("first")
    make_study("second")
    barrier, served = Barrier(6), []

    def join(index: int) -> None:
        own = Store.open(store_url)
        barrier.wait()
        row = join_next_study(own, f"worker {index}", device="cpu")
        served.append(row.name if row else None)
        own.close()

    threads = [Thread(target=join, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(served) == ["first"] * 3 + ["second"] * 3


def test_heartbeat_for_a_deleted_study_is_an_error(store: Store, make_study: MakeStudy) -> None:
    record = make_study("study")
    worker_id = register_worker(store, record.study_id)
    with store.write() as connection:
        connection.execute(sa.delete(studies))
    with pytest.raises(StudyNotFoundError, match="was deleted"):
        send_heartbeat(store, record.study_id, worker_id)


def test_time_since_the_last_heartbeat_is_counted_when_a_worker_leaves(
    store: Store, make_study: MakeStudy
) -> None:
    record = make_study("short")
    began_at = time.monotonic()
    worker_id = register_worker(store, record.study_id)
    with store.write() as connection:  # It came three seconds ago.
        connection.execute(studies.update().values(beat_at=studies.c.beat_at - 3))
        connection.execute(workers.update().values(last_seen=workers.c.last_seen - 3))
    remove_worker(store, worker_id)
    assert 3 <= load_study(store, "short").active_s <= 3.5 + time.monotonic() - began_at


def test_worker_that_joins_and_leaves_at_once_takes_no_time(
    store: Store, make_study: MakeStudy
) -> None:
    record = make_study("odd")
    began_at = time.monotonic()
    send_heartbeat(store, record.study_id, "earlier")
    with store.write() as connection:
        connection.execute(studies.update().values(beat_at=studies.c.beat_at - 30))
    assert join_next_study(store, "guest", device="cpu") is not None
    remove_worker(store, "guest")
    assert load_study(store, "odd").active_s <= 0.5 + time.monotonic() - began_at
