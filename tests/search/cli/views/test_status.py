"""The views of status and results: the live panel, tables, durations and descriptions."""

import io
import re
import signal
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console
from rich.live import Live

from analysis import RankedTrial, Ranking, StudyStatus, family_of, summarize_families
from analysis.formatting import (
    format_duration,
    format_epoch_time,
    format_progress,
    summarize_config,
)
from search.cli.views.live_progress import live_view, render
from search.cli.views.ranking import show_family_ranking, show_fronts, show_ranking, show_within
from search.cli.views.run import show_ending
from search.cli.views.status import show_status
from search.cli.views.watch import watch_view
from search.workers.local_run import RunResult
from spaces import SearchSpace
from spaces.parameters.stub_trials import PreferredTrial
from spaces.wording import plural
from storage import Curve, Outcome, StudyRecord, TrialRow
from storage.coordination.heartbeats import WorkerRow

RECORD = StudyRecord(
    study_id=1,
    name="scans",
    settings="{}",
    n_trials=4,
    timeout_s=None,
    active_s=120.0,
    end_reason="The search space is exhausted. Widen [space] to continue.",
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
    result = RunResult("sqlite:///other.db", Ranking("scans", ()), STATUS)
    show_ending(console, result)
    show_status(console, STATUS)
    assert stream.getvalue().count("Widen [space] to continue.") == 2
    assert "convsearch confirm scans --store sqlite:///other.db" in stream.getvalue()
    show_ending(console, RunResult("", Ranking("scans", ()), STATUS))
    assert "convsearch confirm scans · convsearch report scans" in stream.getvalue()


def test_next_commands_of_a_study_with_modules_have_the_permission_that_they_need() -> None:
    console, stream = make_console(is_terminal=False)
    status = replace(STATUS, record=replace(RECORD, settings='{"modules": [{"source": "a.py"}]}'))
    show_ending(console, RunResult("", Ranking("scans", ()), status))
    confirm, report = "convsearch confirm scans", "convsearch report scans --out scans-report"
    assert f"{confirm} --trust-modules · {report} --trust-modules ·" in stream.getvalue()


def test_interrupted_run_says_that_nothing_is_lost() -> None:
    console, stream = make_console(is_terminal=False)
    show_ending(console, RunResult("sqlite:///a.db", Ranking("scans", ()), STATUS, signal.SIGINT))
    assert "nothing is lost" in stream.getvalue()
    assert "raise --trials" not in stream.getvalue()


def test_panel_shows_budget_best_running_and_ended_trials() -> None:
    console, stream = make_console(is_terminal=True)
    console.print(render(replace(STATUS, record=replace(RECORD, end_reason=None))))
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
    assert format_duration(seconds) == text


def of_family(row: TrialRow, family: str, number: int) -> TrialRow:
    attributes = {"config": {"family": family}, "parameters": 10_000_200}
    return replace(row, attributes=attributes, number=number)


SEVERAL = replace(
    STATUS,
    trials=(
        of_family(DONE, "plain", 0),
        of_family(replace(DONE, value=0.95), "vgg", 1),
        of_family(RUNNING, "inception", 2),
    ),
)


def test_families_are_shown_side_by_side() -> None:
    console, stream = make_console(is_terminal=False, width=80)
    families = summarize_families(SEVERAL.trials)
    show_family_ranking(console, Ranking("scans", (), families))
    show_status(console, SEVERAL)
    rows = [line.split() for line in stream.getvalue().splitlines()]
    vgg = ["vgg", "0.9500", "1", "10,000,200", "1", "1", "0", "50", "s", "10", "s"]
    assert rows.count(vgg) == 2
    assert rows.count(["inception", "-", "-", "-", "0", "0", "0", "9", "s", "3.0", "s"]) == 2
    assert [row[0] for row in rows if row and row[0] in {"plain", "vgg", "inception"}][:3] == [
        "vgg",
        "plain",
        "inception",
    ]


def test_status_of_one_family_shows_no_table_of_families() -> None:
    console, stream = make_console(is_terminal=False)
    show_status(console, replace(SEVERAL, trials=SEVERAL.trials[:1]))
    assert "parameters" not in stream.getvalue()


def test_panel_names_the_families_if_there_are_several() -> None:
    console, stream = make_console(is_terminal=True, width=120)
    console.print(render(SEVERAL))
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "vgg 0.9500 (1)  plain 0.9000 (1)  inception - (0)" in text
    assert "trial 2 inception  epoch 3" in text
    assert "trial 1 vgg complete: 0.9000 (5 epochs, 50 s)" in text
    assert family_of(SEVERAL.trials[1]) == "vgg"


def test_study_without_trials_says_so() -> None:
    console, stream = make_console(is_terminal=False)
    show_family_ranking(console, Ranking("scans", ()))
    show_ranking(console, Ranking("scans", ()))
    assert stream.getvalue().splitlines() == [
        "Study scans has no trial yet.",
        "Study scans has no complete trial yet.",
    ]


@pytest.mark.parametrize(
    ("n_done", "n_trials", "text"),
    [
        (3, 12, "3 of 12 trials done"),
        (0, 1, "0 of 1 trial done"),
        (3, None, "3 trials done"),
        (3, 2, "3 trials done (the budget is 2)"),
    ],
)
def test_lowered_budget_is_worded_well(n_done: int, n_trials: int | None, text: str) -> None:
    assert format_progress(n_done, n_trials) == text


@pytest.mark.parametrize(
    ("n", "word", "text"),
    [(1, "stage", "1 stage"), (2, "class", "2 classes"), (1200, "image", "1,200 images")],
)
def test_singular_is_used_for_one(n: int, word: str, text: str) -> None:
    assert plural(n, word) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.0812, "0.08 s"), (2.41, "2.4 s"), (40.2, "40 s")]
)
def test_times_of_epochs_keep_significant_digits(seconds: float | None, text: str) -> None:
    assert format_epoch_time(seconds) == text


@pytest.mark.parametrize(
    ("family", "narrowed", "text"),
    [
        ("plain", {"stages": 1}, "plain, 1 stage, relu, adam, lr 0.001"),
        ("vgg", {"vgg_blocks": 3, "vgg_convs": 2}, "vgg, 3 blocks of 2 convs, relu, adam, lr"),
        (
            "residual",
            {"residual_stages": 1, "residual_blocks": 2, "residual_bottleneck": True,
             "residual_version": "v2"},
            "residual, v2, 1 stage of 2 bottlenecks, relu, adam, lr 0.001",
        ),
        (
            "dense",
            {"densenet_blocks": 2, "densenet_layers": 4, "densenet_growth_rate": 12},
            "dense, 2 blocks of 4 layers, growth 12, relu",
        ),
        (
            "inception",
            {"inception_stages": 2, "inception_blocks": 1},
            "inception, 2 stages of 1 block, relu",
        ),
    ],
)  # fmt: skip
def test_network_is_described_by_the_main_fields_of_its_family(
    family: str, narrowed: dict[str, object], text: str
) -> None:
    usual = {"activation": "relu", "optimizer": "adam", "learning_rate": 0.001}
    space = SearchSpace.create([family], {**usual, **narrowed})
    assert summarize_config(space.suggest(PreferredTrial({})).to_json()).startswith(text)


def test_network_of_a_users_family_is_described_by_common_fields() -> None:
    config = (
        SearchSpace.create(["plain"], {"optimizer": "sgd"}).suggest(PreferredTrial({})).to_json()
    )
    text = summarize_config({**config, "family": "own"})
    assert text == "own, relu, sgd, lr 0.01"
    assert summarize_config({}) == ""


def make_trial(number: int, value: float, parameters: int, seconds: float) -> RankedTrial:
    return RankedTrial(
        number + 1, number, "plain", "COMPLETE", value, 2, 3, seconds, parameters, {}, "",
        {}, {"family": "plain"},
    )  # fmt: skip


WORKER = WorkerRow("w", "host", "machine", 1, 0.0, 1.0, 0.0, 2)


def draw(status: StudyStatus) -> str:
    console, stream = make_console(is_terminal=False)
    console.print(render(status))
    return " ".join(stream.getvalue().split())


TRIALS = (make_trial(0, 0.9, 1000, 50), make_trial(1, 0.899, 250, 60), make_trial(2, 0.5, 9, 5))


def test_equally_good_trials_are_compared_with_the_best() -> None:
    console, stream = make_console(is_terminal=False, width=100)
    show_within(console, Ranking("scans", TRIALS), 0.01)
    show_within(console, Ranking("scans", TRIALS[:1]), 0.01)
    show_within(console, Ranking("scans", ()), 0.01)
    text = stream.getvalue()
    assert "within 0.01 of the best validation accuracy, and smaller or faster" in text
    assert "25% of its parameters" in text
    assert "of its training time" not in text
    assert "No other trial is as good" in text
    assert "no complete trial yet" in text


def test_both_fronts_are_shown() -> None:
    console, stream = make_console(is_terminal=False, width=100)
    show_fronts(console, Ranking("scans", TRIALS))
    show_fronts(console, Ranking("scans", ()))
    text = stream.getvalue()
    first, _, second = text.partition("at no more training time")
    assert "at no more parameters" in first
    assert [line.split()[1] for line in second.splitlines() if "plain" in line] == ["0", "2"]
    assert "no complete trial yet" in text


def test_watch_draws_each_status_separately(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each view must not contain the one before it."""
    console, _ = make_console(is_terminal=True)
    frames: list[str] = []
    monkeypatch.setattr(Live, "update", lambda _, text, **__: frames.append(text.plain))
    with watch_view(console) as show:
        show(STATUS)
        show(STATUS)
    assert frames[0] == frames[1]
    assert frames[0].count("scans:") == 1


def test_missing_heartbeats_of_all_workers_are_shown() -> None:
    silent = replace(WORKER, last_seen_s=20.0)
    assert "no worker has written" in draw(replace(STATUS, workers=(silent,)))
    assert "no worker has written" not in draw(replace(STATUS, workers=(silent, WORKER)))


def test_stopped_run_is_reported_as_stopped() -> None:
    console, stream = make_console(is_terminal=False)
    status = replace(STATUS, record=replace(RECORD, is_stopped=True, end_reason=None))
    result = RunResult("sqlite:///a.db", Ranking("scans", ()), status)
    show_ending(console, result)
    assert result.is_interrupted
    assert "Stopped by `convsearch stop`: nothing is lost" in stream.getvalue()
    assert "raise --trials" not in stream.getvalue()


def test_unfit_trial_is_labeled_unfit() -> None:
    console, stream = make_console(is_terminal=False)
    trial = replace(TRIALS[2], state="PRUNED", kind="unfit", reason="The loss became nan.")
    show_ranking(console, Ranking("scans", (trial,)), show_all=True)
    assert "unfit: The loss became nan." in " ".join(stream.getvalue().split())


def test_pace_is_shown_while_there_is_work_left() -> None:
    open_study = replace(STATUS, record=replace(RECORD, end_reason=None))
    over = replace(STATUS, trials=(DONE,), record=replace(RECORD, n_trials=1))
    for status, is_shown in ((open_study, True), (over, False)):
        console, stream = make_console(is_terminal=False)
        show_status(console, status)
        assert ("trials an hour" in stream.getvalue()) == is_shown
