"""Liveness: a worker is dead only if missing heartbeats were observed."""

import psutil
import pytest

import storage.coordination.heartbeats
import storage.coordination.recovery
from storage import (
    LivenessMonitor,
    Store,
    begin_trial,
    create_study,
    load_optuna_study,
    recover,
    recover_once,
    send_heartbeat,
)
from storage.coordination.heartbeats import (
    CONFIRM_DEAD_AFTER_S,
    HEARTBEAT_INTERVAL_S,
    WorkerRow,
    list_workers,
    register_worker,
    remove_dead,
)
from storage.tables import workers


def row(last_heartbeat: float, machine: str = "another") -> WorkerRow:
    return WorkerRow("a", "host", machine, 1, 0.0, 1000.0, last_heartbeat, None)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(storage.coordination.heartbeats.time, "monotonic", lambda: self.now)


def test_silence_counts_only_while_it_is_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    liveness = LivenessMonitor()
    liveness.observe([row(5.0)])
    clock.now += 3600.0  # The store was away for an hour, or this machine was suspended.
    liveness.observe([row(5.0)])
    assert not liveness.is_confirmed_dead(row(5.0))
    for _ in range(round(CONFIRM_DEAD_AFTER_S / HEARTBEAT_INTERVAL_S)):
        clock.now += HEARTBEAT_INTERVAL_S
        liveness.observe([row(5.0)])
    assert liveness.is_confirmed_dead(row(5.0))
    liveness.observe([row(6.0)])
    assert not liveness.is_confirmed_dead(row(6.0))


def test_silence_before_the_first_observation_does_not_count(store: Store) -> None:
    record, _ = create_study(store, "study", settings="{}", n_trials=3)
    study = load_optuna_study(store, "study")
    other = register_worker(store, record.study_id)
    assert begin_trial(store, record.study_id, other) is not None
    # Like a worker on another machine that could not send heartbeats.
    with store.write() as connection:
        connection.execute(workers.update().values(last_seen=0.0, machine="another"))
    liveness = LivenessMonitor()
    liveness.observe(list_workers(store, record.study_id))
    assert recover(store, study._study_id, liveness) == 0
    assert recover(store, study._study_id) == 1


def test_worker_that_sends_a_heartbeat_while_observed_keeps_its_trial(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, _ = create_study(store, "study", settings="{}", n_trials=3)
    other = register_worker(store, record.study_id)
    assert begin_trial(store, record.study_id, other) is not None

    def make_silent() -> None:
        with store.write() as connection:
            connection.execute(workers.update().values(last_seen=0.0, machine="another"))

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if is_awake:
            send_heartbeat(store, record.study_id, other)

    clock = Clock(monkeypatch)
    monkeypatch.setattr(storage.coordination.recovery.time, "sleep", sleep)
    make_silent()
    is_awake = True
    assert recover_once(store, record.study_id) == 0
    make_silent()
    is_awake = False
    assert recover_once(store, record.study_id) == 1
    assert list_workers(store, record.study_id) == []


def test_worker_with_a_heartbeat_after_it_was_found_dead_stays_listed(store: Store) -> None:
    record, _ = create_study(store, "study", settings="{}", n_trials=3)
    other = register_worker(store, record.study_id)
    before = list_workers(store, record.study_id)
    send_heartbeat(store, record.study_id, other)
    remove_dead(store, before)
    (row,) = list_workers(store, record.study_id)
    remove_dead(store, [row])
    assert list_workers(store, record.study_id) == []


def test_change_of_the_clock_makes_no_worker_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, _ = create_study(store, "study", settings="{}", n_trials=3)
    register_worker(store, record.study_id)
    created, booted = psutil.Process().create_time(), psutil.boot_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: created + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted + 3600)
    (row,) = list_workers(store, record.study_id)
    assert not row.is_gone
