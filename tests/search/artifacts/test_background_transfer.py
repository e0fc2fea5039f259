"""Background transfers: submitting does not block, the latest action wins, failures retry."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from search.artifacts.background_transfer import BackgroundTransfer
from search.errors import ArtifactError
from search.machine.log_format import _context, log_context


def test_submit_does_not_block_and_the_latest_action_replaces_queued_ones() -> None:
    transfer, may_go_on, done = BackgroundTransfer(), threading.Event(), []
    transfer.submit("slow", may_go_on.wait)
    for number in range(5):
        transfer.submit("one", lambda number=number: done.append(number))  # type: ignore[misc]
    transfer.submit("two", lambda: done.append("two"))
    assert not transfer.wait(0.05)
    assert done == []
    may_go_on.set()
    assert transfer.wait(5.0)
    assert done == [4, "two"]


def test_failure_is_logged_once_and_the_next_action_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transfer, done = BackgroundTransfer(), []

    def fail() -> None:
        raise ArtifactError("no room")

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            transfer.submit("one", fail)
            assert transfer.wait(5.0)
        transfer.submit("one", lambda: done.append(1))
        assert transfer.wait(5.0)
    assert done == [1]
    assert caplog.messages == [
        "checkpoints stay on this machine for now: no room",
        "the artifact store can be used again",
    ]


def test_wait_without_an_action_returns_at_once() -> None:
    assert BackgroundTransfer().wait(0.0)


def test_unexpected_error_does_not_end_the_thread() -> None:
    transfer, done = BackgroundTransfer(), []

    def fail() -> None:
        raise RuntimeError("Max Retries Exceeded")

    transfer.submit("one", fail)
    transfer.submit("two", lambda: done.append("two"))
    assert transfer.wait(5.0)
    transfer.submit("three", lambda: done.append("three"))
    assert transfer.wait(5.0)
    assert done == ["two", "three"]


def test_retried_action_is_tried_until_it_succeeds_and_does_not_block_others() -> None:
    transfer, done, answers = BackgroundTransfer(), [], iter([False, False, True])

    def attempt() -> None:
        if not next(answers):
            raise ArtifactError("away")
        done.append("retried")

    transfer.submit("retried", attempt, is_retried=True)
    transfer.submit("other", lambda: done.append("other"))
    deadline = time.monotonic() + 10.0
    while not transfer.is_done:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert done == ["other", "retried"]


def test_retried_action_that_fails_is_replaced_by_a_newer_one() -> None:
    transfer, done, tried = BackgroundTransfer(), [], threading.Event()

    def fail() -> None:
        tried.set()
        raise ArtifactError("away")

    transfer.submit("one", fail, is_retried=True)
    assert tried.wait(5.0)
    transfer.submit("one", lambda: done.append("newer"), is_retried=True)
    assert transfer.wait(5.0)
    assert done == ["newer"]


def test_action_logs_in_the_context_of_its_submission() -> None:
    transfer, subjects = BackgroundTransfer(), []
    with log_context(study="small", worker="a"):
        transfer.submit("one", lambda: subjects.append(dict(_context.get())))
    assert transfer.wait(5.0)
    assert subjects == [{"study": "small", "worker": "a"}]


def test_retried_action_is_progressing_until_it_has_failed_repeatedly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("search.artifacts.background_transfer.FIRST_BACKOFF_S", 0.01)
    transfer, tries = BackgroundTransfer(), []
    has_room, may_go_on = threading.Event(), threading.Event()

    def fail_often() -> None:
        tries.append(transfer.is_progressing)
        if not has_room.is_set():
            raise ArtifactError("no room")
        may_go_on.wait(60)

    transfer.submit("one", fail_often, is_retried=True)
    transfer.wait(0.0)
    wait_until(lambda: len(tries) >= 4 and not transfer.is_progressing)
    transfer.submit("clean up", lambda: None)
    assert transfer.has_unfinished
    assert set(tries) == {True}  # A running action is progressing.
    has_room.set()
    transfer.wait(0.05)
    assert transfer.is_progressing
    may_go_on.set()
    assert transfer.wait(30)
    assert not transfer.has_unfinished
    assert not transfer.is_progressing
    assert caplog.messages == [
        "checkpoints stay on this machine for now: no room",
        "the artifact store can be used again",
    ]


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
