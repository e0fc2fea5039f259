"""Retries of the store: transient errors are retried, and each operation may be repeated."""

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import DBAPIError, OperationalError

import storage.database.retry
from storage import (
    EpochRow,
    Lease,
    Outcome,
    PendingWrites,
    QueuedConfig,
    Store,
    StoreUnavailableError,
    TrialCopy,
    begin_trial,
    copy_trials,
    count_done,
    create_study,
    end_study,
    finish_trial,
    load_optuna_study,
    load_study,
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
from storage.database.retry import RetryPolicy, transient_reason
from storage.tables import epochs, leases, workers


class Search:
    """A study with a queue, a running trial and a released one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        record, _ = create_study(store, "study", settings="{}", n_trials=9)
        self.study_id = record.study_id
        self.study = load_optuna_study(store, "study", sampler=optuna.samplers.RandomSampler(1))
        self.worker = register_worker(store, self.study_id)
        release_trial(store, self.begin("other"))
        self.lease = self.begin("third")
        self.trial, self.pending = open_trial(store, self.study, self.lease.trial_id)
        self.plain = optuna.Trial(self.study, self.lease.trial_id)
        self.study.get_trials(deepcopy=False)

    def begin(self, worker_id: str | None = None) -> Lease:
        lease = begin_trial(self.store, self.study_id, worker_id or self.worker)
        assert lease is not None
        return lease

    def fill(self) -> PendingWrites:
        self.trial.suggest_float("x", 0.0, 1.0)
        self.trial.report(0.5, 1)
        self.trial.set_user_attr("a", 1)
        return self.pending


def create_new(store: Store) -> tuple[object, ...]:
    """Create a study with a queue, and return what is in the store."""
    record, is_new = create_study(
        store,
        "new",
        settings="{}",
        n_trials=3,
        queue=[QueuedConfig({"x": 0.5}), QueuedConfig({"x": 0.25})],
    )
    trials = load_optuna_study(store, "new").trials
    return record.n_trials, is_new, [trial.system_attrs["fixed_params"]["x"] for trial in trials]


def copy_some(search: Search) -> list[int]:
    """Copy two trials under other configs."""
    trial = create_trial(
        value=0.5,
        params={"x": 0.5},
        distributions={"x": optuna.distributions.FloatDistribution(0.0, 1.0)},
        intermediate_values={1: 0.5},
    )
    copies = [
        TrialCopy(trial, COMPLETE, key, search.lease.trial_id, 1.0) for key in ("one", "two")
    ]
    return copy_trials(search.store, search.study, copies)


def epoch(number: int) -> EpochRow:
    return EpochRow(number, 1.0, 0.5, 1.0, 0.5, 1e-3, 2.0, 500.0)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("error")
    error.sqlite_errorcode = code
    return error


COMPLETE = Outcome("complete", "why", value=0.9, metrics={"best_epoch": 2})
OPERATIONS: dict[str, Callable[[Search], object]] = {
    "take_released": lambda it: take_released(it.store, it.study_id, it.worker),
    "record_config": lambda it: record_config(it.store, it.lease, "key", it.fill()),
    "record_epoch": lambda it: record_epoch(it.store, it.lease, epoch(1), it.fill()),
    "finish": lambda it: finish_trial(it.store, it.lease, COMPLETE, it.fill()),
    "prune": lambda it: finish_trial(it.store, it.lease, Outcome("pruned", "poor")),
    "give_back": lambda it: release_trial(it.store, it.lease),
    "lose": lambda it: release_trial(it.store, it.lease, lost=True),
    "recover": lambda it: recover(it.store, it.study._study_id),
    "register": lambda it: len(register_worker(it.store, it.study_id)),
    "remove": lambda it: remove_worker(it.store, it.worker),
    "set_budget": lambda it: set_budget(it.store, it.study_id, n_trials=2, timeout_s=None),
    "end": lambda it: end_study(it.store, it.study_id, "enough"),
    "create": lambda it: create_new(it.store),
    "copy": copy_some,
    "suggest": lambda it: it.plain.suggest_float("x", 0.0, 1.0),
    "report": lambda it: it.plain.report(0.5, 1),
    "attribute": lambda it: it.plain.set_user_attr("a", 1),
    "wait": lambda it: it.study._storage.set_trial_state_values(
        it.lease.trial_id, TrialState.WAITING
    ),
}


@contextmanager
def cut_after_commit(store: Store, number: int) -> Iterator[list[int]]:
    """Close the connection right after the `number`-th commit."""
    dialect, commits = store.engine.dialect, [0]
    commit = dialect.do_commit

    def commit_and_cut(connection: Any) -> None:
        commit(connection)
        commits[0] += 1
        if commits[0] == number:
            if dialect.name == "sqlite":
                raise sqlite_error(sqlite3.SQLITE_IOERR)
            connection.dbapi_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    dialect.do_commit = commit_and_cut  # type: ignore[method-assign]
    try:
        yield commits
    finally:
        dialect.do_commit = commit  # type: ignore[method-assign]


def snapshot(search: Search) -> dict[str, Any]:
    """Return all that is in the store, except times."""
    names = {search.worker: "mine"}
    with search.store.read() as connection:
        held = sa.select(
            *(c for c in leases.c if c.name not in {"ended_at", "generation"})
        ).order_by("lease_id")
        rows = {
            "leases": [
                {**row._mapping, "worker_id": names.get(row.worker_id, row.worker_id)}
                for row in connection.execute(held)
            ],
            "epochs": connection.execute(sa.select(epochs)).all(),
            "workers": len(connection.execute(sa.select(workers)).all()),
        }
    trials = load_optuna_study(search.store, "study").trials
    rows["trials"] = [
        (t.number, t.state, t.values, t.params, t.user_attrs, t.intermediate_values)
        for t in trials
    ]
    record = load_study(search.store, "study")
    rows["study"] = (record.n_trials, record.end_reason, count_done(search.store, record.study_id))
    return rows


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operation_whose_reply_is_lost_is_done_once(
    store_url: str, operation: Callable[[Search], object], more: Callable[[], str]
) -> None:
    whole = Search(Store.open(store_url))
    with cut_after_commit(whole.store, 0) as commits:
        expected = shown(operation(whole))
    assert commits[0] >= 1
    for number in range(1, commits[0] + 1):
        search = Search(Store.open(more()))
        with cut_after_commit(search.store, number):
            assert shown(operation(search)) == expected
        assert snapshot(search) == snapshot(whole)
        search.store.close()
    whole.store.close()


def test_trial_that_was_begun_without_a_reply_is_given_to_its_worker(store: Store) -> None:
    search = Search(store)
    set_budget(store, search.study_id, n_trials=3, timeout_s=None)  # Two trials have begun.
    with cut_after_commit(store, 1):
        assert begin_trial(store, search.study_id, search.worker) is None
    first = take_released(store, search.study_id, search.worker)
    assert first is not None
    finish_trial(store, first, COMPLETE)
    second = take_released(store, search.study_id, search.worker)
    assert second is not None
    assert (first.trial_number, second.trial_number) == (0, 2)
    assert begin_trial(store, search.study_id, search.worker) is None
    assert [trial.number for trial in search.study.trials] == [0, 1, 2]


def shown(answer: object) -> object:
    """Return a result without the worker's random id."""
    if isinstance(answer, Lease):
        return answer.lease_id, answer.trial_id, answer.trial_number
    return answer


@pytest.fixture
def more(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> Callable[[], str]:
    """A function that returns the URL of one more new store of the same kind."""
    numbers = itertools.count()

    def make() -> str:
        number = next(numbers)
        if store_url.startswith("sqlite"):
            url: str = request.getfixturevalue("new_sqlite")(tmp_path / f"{number}.db")
        else:
            url = request.getfixturevalue("new_postgres")(f"{tmp_path.name}-{number}")
        return url

    return make


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (sqlite_error(sqlite3.SQLITE_BUSY), True),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), True),
        (sqlite_error(sqlite3.SQLITE_FULL), True),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), True),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), False),
        (sqlite_error(sqlite3.SQLITE_READONLY), False),
        (sqlite_error(sqlite3.SQLITE_ERROR), False),
        (psycopg.errors.AdminShutdown("x"), True),
        (psycopg.errors.CannotConnectNow("x"), True),
        (psycopg.errors.TooManyConnections("x"), True),
        (psycopg.errors.DeadlockDetected("x"), True),
        (psycopg.errors.SerializationFailure("x"), True),
        (psycopg.errors.DiskFull("x"), True),
        (psycopg.errors.IdleInTransactionSessionTimeout("x"), True),
        (psycopg.OperationalError("connection failed: Connection refused"), True),
        (psycopg.OperationalError('FATAL: password authentication failed for user "a"'), False),
        (psycopg.OperationalError('FATAL: database "a" does not exist'), False),
        (psycopg.errors.UndefinedTable("x"), False),
        (psycopg.errors.InsufficientPrivilege("x"), False),
    ],
    ids=repr,
)
def test_transient_errors_are_recognized(error: Exception, passes: bool) -> None:
    wrapped = DBAPIError.instance("SELECT 1", {}, error, (sqlite3.Error, psycopg.Error))
    assert (transient_reason(wrapped) is not None) is passes
    internal = StorageInternalError("An exception is raised during the commit.")
    internal.__cause__ = wrapped
    assert (transient_reason(internal) is not None) is passes
    assert transient_reason(ValueError("x")) is None


class Flaky:
    """A call that fails for `seconds` and at least `at_least` times, and counts its calls."""

    def __init__(self, error: Exception, seconds: float, at_least: int = 0) -> None:
        self.error, self.until, self.n_calls = error, time.monotonic() + seconds, 0
        self.at_least = at_least

    def __call__(self) -> str:
        self.n_calls += 1
        if time.monotonic() < self.until or self.n_calls <= self.at_least:
            raise self.error
        return "answer"


def busy() -> OperationalError:
    return OperationalError("BEGIN IMMEDIATE", {}, sqlite_error(sqlite3.SQLITE_BUSY))


def test_wait_is_logged_when_it_begins_and_when_it_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage.database.retry, "LOG_AFTER_S", 0.3)
    flaky = Flaky(busy(), seconds=1.0, at_least=6)
    assert RetryPolicy().call(flaky) == "answer"
    assert caplog.messages == ["waiting for the store: error", "the store is available again"]


def test_short_wait_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert RetryPolicy().call(Flaky(busy(), seconds=0.2)) == "answer"
    assert caplog.messages == []


def test_own_error_raised_while_a_transient_one_is_handled_is_not_retried() -> None:
    n_calls = 0

    def find() -> None:
        nonlocal n_calls
        n_calls += 1
        try:
            raise busy()
        except OperationalError:
            raise KeyError("no such trial")  # noqa: B904

    with pytest.raises(KeyError, match="no such trial"):
        RetryPolicy().call(find)
    assert n_calls == 1


def test_permanent_error_is_raised_at_once() -> None:
    flaky = Flaky(
        OperationalError("SELECT", {}, sqlite_error(sqlite3.SQLITE_CORRUPT)), seconds=60.0
    )
    with pytest.raises(OperationalError):
        RetryPolicy().call(flaky)
    assert flaky.n_calls == 1


def test_waiting_ends_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.database.retry, "RETRY_TIMEOUT_S", 0.5)
    with pytest.raises(StoreUnavailableError, match=r"The store does not answer: error\."):
        RetryPolicy().call(Flaky(busy(), seconds=60.0))


def test_waiting_is_short_during_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.database.retry, "SHUTDOWN_TIMEOUT_S", 0.5)
    retry = RetryPolicy()
    timer = threading.Timer(0.5, retry.begin_shutdown)
    timer.start()
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        retry.call(Flaky(busy(), seconds=60.0))
    assert time.monotonic() - started < 30


def test_locked_store_can_still_be_opened(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url)
    with store.write():
        Store.open(url).close()
    store.close()
