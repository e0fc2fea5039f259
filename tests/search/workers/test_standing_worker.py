"""The standing worker: it chooses a study between trials, and waits for new studies."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis import load_status
from search.artifacts import background_transfer
from search.artifacts.database import DatabaseArtifacts
from search.errors import ArtifactError
from search.studies.deletion import remove_study
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.trainer.protocol import Ready
from search.workers import shutdown, standing_worker, study_session
from search.workers.standing_worker import StandingWorker
from search.workers.worker import Worker
from storage import (
    LivenessMonitor,
    Store,
    StudyNotFoundError,
    begin_trial,
    has_budget_left,
    list_open_studies,
    list_studies,
    load_trials,
    register_worker,
    set_stopped,
    update_settings,
)
from storage.tables import workers

FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
MakeStudy = Callable[..., OpenStudy]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the intervals of polling, of heartbeats and of trying a refused study again."""
    monkeypatch.setattr(standing_worker, "WAIT_S", 0.05)
    monkeypatch.setattr(standing_worker, "RETRY_S", 0.2)
    monkeypatch.setattr(study_session, "HEARTBEAT_INTERVAL_S", 0.05)


@pytest.fixture
def make(make_study: MakeStudy) -> MakeStudy:
    def make(name: str, *, priority: int = 0, trials: int = 3) -> OpenStudy:
        return make_study(study={"name": name, "priority": priority}, budget={"trials": trials})

    return make


def make_worker(opened: OpenStudy, *, idle_exit_s: float | None = 0.2) -> StandingWorker:
    pool = TrainerPool(command=(sys.executable, FAKE, "well"))
    return StandingWorker(opened.store, pool, idle_exit_s=idle_exit_s)


@contextmanager
def at_work(standing_worker: StandingWorker) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=standing_worker.run)
    thread.start()
    yield thread
    standing_worker.shutdown.request()
    thread.join(timeout=30)
    assert not thread.is_alive()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def n_done(opened: OpenStudy) -> int:
    return load_status(opened.store, opened.name).n_done


def started(opened: OpenStudy) -> list[float]:
    rows = load_trials(opened.store, opened.study_id)
    return [row.started.timestamp() for row in rows if row.started is not None]


def test_worker_serves_all_studies_by_priority_and_exits_when_idle(make: MakeStudy) -> None:
    low, high, middle = make("low", priority=-1), make("high", priority=2), make("middle")
    make_worker(low).run()
    assert [n_done(it) for it in (high, middle, low)] == [3, 3, 3]
    assert max(started(high)) < min(started(middle))
    assert max(started(middle)) < min(started(low))
    assert load_status(low.store, "low").workers == ()


def test_worker_waits_for_new_studies(make: MakeStudy) -> None:
    first = make("first")
    with at_work(make_worker(first, idle_exit_s=None)):
        wait_until(lambda: n_done(first) == 3)
        second = make("second")
        wait_until(lambda: n_done(second) == 3)


def test_worker_changes_to_a_study_of_higher_priority_between_trials(make: MakeStudy) -> None:
    long = make("long", trials=200)
    with at_work(make_worker(long, idle_exit_s=None)):
        wait_until(lambda: n_done(long) >= 1)
        urgent = make("urgent", priority=1)
        wait_until(lambda: n_done(urgent) == 3)
    states = load_status(long.store, "long").counts
    assert states["complete"] < 200
    assert states["fail"] == states["running"] == 0


def test_two_workers_share_two_equal_studies(make: MakeStudy) -> None:
    first, second = make("first", trials=14), make("second", trials=14)
    workers = [make_worker(first, idle_exit_s=None) for _ in range(2)]
    for worker in workers:
        assert isinstance(worker.pool.take().receive(60), Ready)
    with at_work(workers[0]), at_work(workers[1]):
        wait_until(lambda: n_done(first) + n_done(second) >= 12)
        done = n_done(first), n_done(second)
        wait_until(lambda: n_done(first) + n_done(second) == 28)
    assert min(done) >= 3


def test_study_that_cannot_be_served_is_logged_once_and_tried_again(
    make: MakeStudy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refused, served = make("refused", priority=1), make("served")
    known = refused.settings.model_dump_json()
    others = known.replace(refused.settings.images["scratch"].fingerprint, "0" * 64)
    update_settings(refused.store, refused.study_id, others)
    with at_work(make_worker(served, idle_exit_s=None)):
        wait_until(lambda: n_done(served) == 3)
        time.sleep(0.6)
        assert caplog.text.count("cannot serve study refused: The prepared images") == 1
        # The worker joins a study before it finds that it cannot serve it, and then leaves it.
        wait_until(lambda: load_status(refused.store, "refused").workers == ())
        update_settings(refused.store, refused.study_id, known)
        wait_until(lambda: n_done(refused) == 3)


def test_worker_leaves_a_stopped_study_and_serves_another(make: MakeStudy) -> None:
    stopped = make("stopped", priority=1, trials=500)
    with at_work(make_worker(stopped, idle_exit_s=None)):
        wait_until(lambda: n_done(stopped) >= 1)
        set_stopped(stopped.store, stopped.study_id, True)
        other = make("other")
        wait_until(lambda: n_done(other) == 3)
        status = load_status(stopped.store, "stopped")
        assert status.counts["running"] == 0
        assert status.workers == ()
        n_before = status.n_done
        time.sleep(0.3)
        assert n_done(stopped) == n_before
        make("stopped", priority=1, trials=n_before + 2)
        wait_until(lambda: n_done(stopped) == n_before + 2)


def test_time_budget_is_not_spent_while_the_worker_serves_another_study(
    make_study: MakeStudy,
) -> None:
    timed = make_study(study={"name": "timed"}, budget={"trials": None, "timeout": "100s"})
    urgent = make_study(study={"name": "urgent", "priority": 1}, budget={"trials": 12})
    with at_work(make_worker(timed, idle_exit_s=None)):
        wait_until(lambda: n_done(urgent) == 12)
        active_s = load_status(timed.store, "timed").record.active_s
        looked_at = time.time()
        wait_until(lambda: n_done(timed) >= 3)
    ended_at = max(row.finished.timestamp() for row in load_trials(urgent.store, urgent.study_id))
    assert active_s < 0.5 + looked_at - ended_at
    assert load_status(timed.store, "timed").record.active_s > active_s


def test_idle_worker_exits_after_its_checkpoints_are_uploaded(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = make_study(store={"artifacts": "database"})
    put = DatabaseArtifacts.put

    def put_slowly(self: DatabaseArtifacts, name: str, path: Path) -> None:
        time.sleep(0.5)
        put(self, name, path)

    monkeypatch.setattr(DatabaseArtifacts, "put", put_slowly)
    monkeypatch.setattr(shutdown, "FLUSH_TIMEOUT_S", 0.1)  # Does not apply to an idle worker.
    make_worker(opened, idle_exit_s=0.0).run()
    names = {f"small/trial-{number}.0.safetensors" for number in range(3)}
    assert set(opened.artifacts.store.sizes("small")) == names


def test_shutdown_does_not_wait_for_a_slow_artifact_store(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened, may_go_on = make_study(store={"artifacts": "database"}), threading.Event()
    monkeypatch.setattr(shutdown, "FLUSH_TIMEOUT_S", 0.1)
    monkeypatch.setattr(DatabaseArtifacts, "put", lambda *_: may_go_on.wait(60))
    with at_work(make_worker(opened, idle_exit_s=None)) as thread:
        wait_until(lambda: n_done(opened) == 3)
    assert not thread.is_alive()
    assert (
        f"exiting before all checkpoints were uploaded; they stay in {opened.artifacts.folder}"
        in (caplog.text)
    )
    may_go_on.set()


def test_worker_exits_even_if_its_artifact_store_is_full(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = make_study(store={"artifacts": "database"})

    def refuse(*_: object) -> None:
        raise ArtifactError("No room.")

    monkeypatch.setattr(shutdown, "FLUSH_TIMEOUT_S", 0.1)
    monkeypatch.setattr(background_transfer, "FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr(DatabaseArtifacts, "put", refuse)
    with at_work(make_worker(opened, idle_exit_s=0.0)) as thread:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert n_done(opened) == 3
    assert "exiting before all checkpoints were uploaded" in caplog.text


def test_study_without_images_is_served_again_when_they_return(
    make: MakeStudy, make_study: MakeStudy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    opened = make_study(
        study={"name": "robbed"}, budget={"trials": 500}, store={"artifacts": "database"}
    )
    path = opened.data["scratch"].path
    content = path.read_bytes()
    with at_work(make_worker(opened, idle_exit_s=None)):
        wait_until(lambda: n_done(opened) >= 1)
        opened.artifacts.store.delete(opened.artifacts.store.sizes())
        path.unlink()
        wait_until(lambda: "cannot serve study robbed: The prepared images" in caplog.text)
        n_before = n_done(opened)
        time.sleep(0.6)
        assert n_done(opened) == n_before
        path.with_name("back").write_bytes(content)
        path.with_name("back").replace(path)
        wait_until(lambda: n_done(opened) > n_before)
    assert load_status(opened.store, "robbed").counts["fail"] == 0
    assert caplog.text.count("cannot serve study robbed") == 1


def test_last_trial_of_a_dead_worker_is_taken_over(
    make: MakeStudy,
) -> None:
    opened = make("small", trials=1)
    dead = register_worker(opened.store, opened.study_id)
    assert begin_trial(opened.store, opened.study_id, dead) is not None
    with opened.store.write() as connection:
        connection.execute(workers.update().values(last_seen=0.0, machine="another"))
    standing_worker = make_worker(opened, idle_exit_s=None)
    standing_worker._liveness = LivenessMonitor(confirm_after_s=0.3)
    with at_work(standing_worker):
        wait_until(lambda: n_done(opened) == 1)
    assert load_status(opened.store, "small").workers == ()


def test_study_that_was_deleted_and_created_again_is_reopened(make: MakeStudy) -> None:
    first = make("small")
    standing_worker = make_worker(first)
    (row,) = list_open_studies(first.store)
    before = standing_worker._open(row)
    assert before is standing_worker._open(row)
    remove_study(first.store, "small")
    second = make("small")
    assert second.study_id == first.study_id  # SQLite reuses ids.
    after = standing_worker._open(row)
    assert after is not None
    assert after is not before
    assert standing_worker._uploading == []  # Nothing is uploaded to the new study.
    standing_worker.pool.close()


def test_worker_of_a_study_whose_name_was_reused_leaves_it(make: MakeStudy) -> None:
    first = make("small")
    remove_study(first.store, "small")
    second = make("small")
    with pytest.raises(StudyNotFoundError, match="a new one has its name"):
        Worker(first, TrainerPool(command=(sys.executable, FAKE, "well"))).run()
    assert n_done(second) == 0


def test_studies_that_are_over_are_closed(make: MakeStudy) -> None:
    opened = make("small")
    standing_worker = make_worker(opened, idle_exit_s=None)
    with at_work(standing_worker):
        wait_until(lambda: list(standing_worker._opened) == [opened.study_id])
        wait_until(lambda: standing_worker._opened == {})
    assert n_done(opened) == 3


def test_unexpected_error_while_a_study_is_opened_is_logged_with_its_traceback(
    make: MakeStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = make("small")

    def fail(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("search.workers.standing_worker.OpenStudy.load", fail)
    make_worker(opened).run()
    assert "cannot serve study small: KeyError: 'a bug'" in caplog.text
    assert "Traceback" in caplog.text
    assert "deleted" not in caplog.text


def test_another_study_of_the_name_is_noticed_though_its_settings_mention_the_first(
    make: MakeStudy,
) -> None:
    opened = make("small")
    changed = {"creation": "another", "artifacts_folder": opened.settings.creation}
    settings = opened.settings.model_copy(update=changed)
    session = study_session.StudySession(
        opened,
        TrainerPool(),
        worker_id="1",
        shutdown=shutdown.Shutdown(opened.store),
        liveness=LivenessMonitor(),
    )
    update_settings(opened.store, opened.study_id, settings.model_dump_json())
    with pytest.raises(StudyNotFoundError, match="a new one has its name"):
        session.is_over()


@pytest.mark.parametrize(
    "where",
    [
        "search.workers.study_session.next_proposal",
        "search.workers.standing_worker.OpenStudy.load",
        "storage.has_budget_left",
    ],
)
def test_study_that_is_deleted_while_it_is_served_is_left(
    make: MakeStudy, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    opened = make("small")

    def delete_and_fail(*_: object, **__: object) -> None:
        remove_study(opened.store, "small", force=True)
        raise KeyError("Record does not exist.")

    def delete_and_go_on(store: Store, study_id: int) -> bool:
        remove_study(opened.store, "small", force=True)
        return has_budget_left(store, study_id)

    if where == "storage.has_budget_left":
        monkeypatch.setattr("search.workers.proposals.has_budget_left", delete_and_go_on)
    else:
        monkeypatch.setattr(where, delete_and_fail)
    make_worker(opened).run()
    assert list_studies(opened.store) == []
