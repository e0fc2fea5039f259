"""The courier: it holds nobody up, brings the latest, and goes on after a failure."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from search.artifacts.background_transfer import BackgroundTransfer
from search.errors import ArtifactError
from search.machine.log_format import _context, log_context


def test_sender_does_not_wait_and_the_latest_takes_the_place_of_pending_ones() -> None:
    transfer, may_go_on, done = BackgroundTransfer(), threading.Event(), []
    transfer.send("slow", may_go_on.wait)
    for number in range(5):
        transfer.send("one", lambda number=number: done.append(number))  # type: ignore[misc]
    transfer.send("two", lambda: done.append("two"))
    assert not transfer.wait(0.05)
    assert done == []
    may_go_on.set()
    assert transfer.wait(5.0)
    assert done == [4, "two"]


def test_failure_is_warned_of_once_and_the_next_errand_is_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transfer, done = BackgroundTransfer(), []

    def fail() -> None:
        raise ArtifactError("no room")

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            transfer.send("one", fail)
            assert transfer.wait(5.0)
        transfer.send("one", lambda: done.append(1))
        assert transfer.wait(5.0)
    assert done == [1]
    assert caplog.messages == [
        "checkpoints stay where they are for now: no room",
        "the artifact store can be used again",
    ]


def test_courier_without_an_errand_is_not_waited_for() -> None:
    assert BackgroundTransfer().wait(0.0)


def test_error_of_a_library_ends_no_courier() -> None:
    transfer, done = BackgroundTransfer(), []

    def fail() -> None:
        raise RuntimeError("Max Retries Exceeded")

    transfer.send("one", fail)
    transfer.send("two", lambda: done.append("two"))
    assert transfer.wait(5.0)
    transfer.send("three", lambda: done.append("three"))
    assert transfer.wait(5.0)
    assert done == ["two", "three"]


def test_lasting_errand_is_tried_until_it_succeeds_and_holds_no_other_up() -> None:
    transfer, done, answers = BackgroundTransfer(), [], iter([False, False, True])

    def attempt() -> None:
        if not next(answers):
            raise ArtifactError("away")
        done.append("lasting")

    transfer.send("lasting", attempt, is_retried=True)
    transfer.send("other", lambda: done.append("other"))
    deadline = time.monotonic() + 10.0
    while not transfer.is_done:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert done == ["other", "lasting"]


def test_lasting_errand_that_fails_makes_way_for_a_newer_one() -> None:
    transfer, done, tried = BackgroundTransfer(), [], threading.Event()

    def fail() -> None:
        tried.set()
        raise ArtifactError("away")

    transfer.send("one", fail, is_retried=True)
    assert tried.wait(5.0)
    transfer.send("one", lambda: done.append("newer"), is_retried=True)
    assert transfer.wait(5.0)
    assert done == ["newer"]


def test_log_lines_of_an_errand_are_about_what_its_sender_was_about() -> None:
    transfer, subjects = BackgroundTransfer(), []
    with log_context(study="small", worker="a"):
        transfer.send("one", lambda: subjects.append(dict(_context.get())))
    assert transfer.wait(5.0)
    assert subjects == [{"study": "small", "worker": "a"}]


def test_lasting_errand_is_hopeful_until_it_has_failed_again_and_again(
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

    transfer.send("one", fail_often, is_retried=True)
    transfer.wait(0.0)
    wait_until(lambda: len(tries) >= 4 and not transfer.is_progressing)
    transfer.send("tidy", lambda: None)
    assert transfer.has_unfinished
    assert set(tries) == {True}  # Nobody leaves while one is under way.
    has_room.set()
    transfer.wait(0.05)
    assert transfer.is_progressing
    may_go_on.set()
    assert transfer.wait(30)
    assert not transfer.has_unfinished
    assert not transfer.is_progressing
    assert caplog.messages == [
        "checkpoints stay where they are for now: no room",
        "the artifact store can be used again",
    ]


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
