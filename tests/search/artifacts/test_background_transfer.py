"""The courier: it holds nobody up, brings the latest, and goes on after a failure."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from search.artifacts.background_transfer import Courier
from search.errors import ArtifactError
from search.machine.log_format import _subject, about


def test_sender_does_not_wait_and_the_latest_takes_the_place_of_pending_ones() -> None:
    courier, may_go_on, done = Courier(), threading.Event(), []
    courier.send("slow", may_go_on.wait)
    for number in range(5):
        courier.send("one", lambda number=number: done.append(number))  # type: ignore[misc]
    courier.send("two", lambda: done.append("two"))
    assert not courier.wait(0.05)
    assert done == []
    may_go_on.set()
    assert courier.wait(5.0)
    assert done == [4, "two"]


def test_failure_is_warned_of_once_and_the_next_errand_is_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    courier, done = Courier(), []

    def fail() -> None:
        raise ArtifactError("no room")

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            courier.send("one", fail)
            assert courier.wait(5.0)
        courier.send("one", lambda: done.append(1))
        assert courier.wait(5.0)
    assert done == [1]
    assert caplog.messages == [
        "checkpoints stay where they are for now: no room",
        "the artifact store can be used again",
    ]


def test_courier_without_an_errand_is_not_waited_for() -> None:
    assert Courier().wait(0.0)


def test_error_of_a_library_ends_no_courier() -> None:
    courier, done = Courier(), []

    def fail() -> None:
        raise RuntimeError("Max Retries Exceeded")

    courier.send("one", fail)
    courier.send("two", lambda: done.append("two"))
    assert courier.wait(5.0)
    courier.send("three", lambda: done.append("three"))
    assert courier.wait(5.0)
    assert done == ["two", "three"]


def test_lasting_errand_is_tried_until_it_succeeds_and_holds_no_other_up() -> None:
    courier, done, answers = Courier(), [], iter([False, False, True])

    def attempt() -> None:
        if not next(answers):
            raise ArtifactError("away")
        done.append("lasting")

    courier.send("lasting", attempt, is_lasting=True)
    courier.send("other", lambda: done.append("other"))
    deadline = time.monotonic() + 10.0
    while not courier.is_done:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert done == ["other", "lasting"]


def test_lasting_errand_that_fails_makes_way_for_a_newer_one() -> None:
    courier, done, tried = Courier(), [], threading.Event()

    def fail() -> None:
        tried.set()
        raise ArtifactError("away")

    courier.send("one", fail, is_lasting=True)
    assert tried.wait(5.0)
    courier.send("one", lambda: done.append("newer"), is_lasting=True)
    assert courier.wait(5.0)
    assert done == ["newer"]


def test_log_lines_of_an_errand_are_about_what_its_sender_was_about() -> None:
    courier, subjects = Courier(), []
    with about(study="small", worker="a"):
        courier.send("one", lambda: subjects.append(dict(_subject.get())))
    assert courier.wait(5.0)
    assert subjects == [{"study": "small", "worker": "a"}]


def test_lasting_errand_is_hopeful_until_it_has_failed_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("search.artifacts.background_transfer.FIRST_PAUSE_S", 0.01)
    courier, tries = Courier(), []
    has_room, may_go_on = threading.Event(), threading.Event()

    def fail_often() -> None:
        tries.append(courier.is_hopeful)
        if not has_room.is_set():
            raise ArtifactError("no room")
        may_go_on.wait(60)

    courier.send("one", fail_often, is_lasting=True)
    courier.wait(0.0)
    wait_until(lambda: len(tries) >= 4 and not courier.is_hopeful)
    courier.send("tidy", lambda: None)
    assert courier.has_lasting
    assert set(tries) == {True}  # Nobody leaves while one is under way.
    has_room.set()
    courier.wait(0.05)
    assert courier.is_hopeful
    may_go_on.set()
    assert courier.wait(30)
    assert not courier.has_lasting
    assert not courier.is_hopeful
    assert caplog.messages == [
        "checkpoints stay where they are for now: no room",
        "the artifact store can be used again",
    ]


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
