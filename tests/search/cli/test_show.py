"""What commands show: brackets stay, lines break between words, the panel says what runs."""

import io
import re
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console

from analysis import Ranking, StudyStatus
from search.cli.live import live_view, render
from search.cli.show import show_duration, show_ending, show_status
from search.runner import RunResult
from storage import Curve, Outcome, StudyRecord, TrialRow

RECORD = StudyRecord(
    study_id=1,
    name="scans",
    settings="{}",
    n_trials=4,
    timeout_s=None,
    active_s=120.0,
    end_reason="The search space is exhausted. Widen [space] to go on.",
    has_failed=False,
)
DONE = TrialRow(
    trial_id=1,
    number=0,
    state="COMPLETE",
    value=0.9,
    params={},
    attributes={},
    outcome=Outcome("complete", value=0.9),
    curve=Curve(5, 50.0, 4, 0.9),
    started=datetime(2026, 1, 1),
    finished=datetime(2026, 1, 1, 0, 1),
)
FAILED = replace(
    DONE,
    number=1,
    state="FAIL",
    value=None,
    outcome=Outcome("fail", "Error on [/job:localhost]"),
    curve=Curve(),
)
RUNNING = replace(
    DONE, number=2, state="RUNNING", value=None, outcome=None, curve=Curve(3, 9.0, 3, 0.8),
    finished=None,
)  # fmt: skip
STATUS = StudyStatus(RECORD, (DONE, FAILED, RUNNING), ())


def make_console(*, is_terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=is_terminal, width=width, markup=False, highlight=False
    )
    return console, stream


def test_reasons_are_shown_with_their_brackets() -> None:
    console, stream = make_console(is_terminal=False)
    result = RunResult("sqlite:///other.db", Ranking("scans", ()), STATUS, is_interrupted=False)
    show_ending(console, result)
    show_status(console, STATUS)
    assert stream.getvalue().count("Widen [space] to go on.") == 2
    assert "convsearch rank scans --all --store sqlite:///other.db" in stream.getvalue()


def test_interrupted_run_says_that_nothing_is_lost() -> None:
    console, stream = make_console(is_terminal=False)
    show_ending(console, RunResult("sqlite:///a.db", Ranking("scans", ()), STATUS, True))
    assert "nothing is lost" in stream.getvalue()
    assert "raise --trials" not in stream.getvalue()


def test_panel_shows_budget_best_running_and_ended_trials() -> None:
    console, stream = make_console(is_terminal=True)
    console.print(render(STATUS))
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    for words in (
        "1/4 trials",
        "1 fail",
        "about 6 min left",
        "best 0.9000 by trial 0",
        "trial 2  epoch 3  val acc 0.8000",
        "trial 1 fail: Error on [/job:localhost]",
    ):
        assert words in text


def test_without_a_terminal_each_ended_trial_is_a_line() -> None:
    console, stream = make_console(is_terminal=False)
    with live_view(console) as view:
        view(replace(STATUS, trials=(RUNNING,)))
        view(STATUS)
        view(STATUS)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "[1/4] trial 0 complete: 0.9000 (5 epochs, 50 s); best 0.9000",
        "[1/4] trial 1 fail: Error on [/job:localhost]; best 0.9000",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (40.2, "40 s"), (600, "10 min"), (12000, "3 h 20 min")],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert show_duration(seconds) == text
