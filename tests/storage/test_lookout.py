"""Who is taken for dead: only those whose silence somebody has seen himself."""

import pytest

import storage.workers
from storage import Lookout, Store, begin_trial, create_study, load_optuna_study, recover
from storage.tables import workers
from storage.workers import BEAT_INTERVAL_S, SURE_AFTER_S, WorkerRow, list_workers, register_worker


def row(beat_at: float, machine: str = "another") -> WorkerRow:
    return WorkerRow("a", "host", machine, 1, 0.0, 1000.0, beat_at, None)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(storage.workers.time, "monotonic", lambda: self.now)


def test_silence_counts_only_while_it_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    lookout = Lookout()
    lookout.look([row(5.0)])
    clock.now += 3600.0  # The store was away for an hour, or this machine slept.
    lookout.look([row(5.0)])
    assert not lookout.is_sure(row(5.0))
    for _ in range(round(SURE_AFTER_S / BEAT_INTERVAL_S)):
        clock.now += BEAT_INTERVAL_S
        lookout.look([row(5.0)])
    assert lookout.is_sure(row(5.0))
    lookout.look([row(6.0)])
    assert not lookout.is_sure(row(6.0))


def test_first_to_see_the_store_again_takes_no_trial_of_the_others(store: Store) -> None:
    record, _ = create_study(store, "study", settings="{}", n_trials=3)
    study = load_optuna_study(store, "study")
    other = register_worker(store, record.study_id)
    assert begin_trial(store, record.study_id, other) is not None
    with store.write() as connection:  # As another machine's worker that could not beat.
        connection.execute(workers.update().values(last_seen=0.0, machine="another"))
    lookout = Lookout()
    lookout.look(list_workers(store, record.study_id))
    assert recover(store, study, lookout) == 0
    assert recover(store, study) == 1
