"""The courier: it holds nobody up, brings the latest, and goes on after a failure."""

import logging
import threading

import pytest

from search.artifacts.courier import Courier
from search.errors import ArtifactError


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
