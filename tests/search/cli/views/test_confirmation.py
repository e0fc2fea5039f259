"""What `confirm` shows: the recommendation, if any, the trainings, and the next command."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from analysis import Ranking, StudyStatus
from analysis.confirmation.trainings import Training, Trainings
from analysis.confirmation_study import CONFIRMS_ATTRIBUTE
from search.cli.views.confirmation import show_confirm_result
from search.cli.views.live_progress import live_view, render
from search.cli.views.status import show_status
from search.evaluation.confirm import ConfirmResult
from search.evaluation.model_selection import choose_winner
from search.workers.local_run import RunResult
from storage import Curve, Outcome, StudyRecord, TrialRow

RECORD = StudyRecord(
    study_id=2,
    name="scans/confirm",
    settings="{}",
    n_trials=6,
    timeout_s=None,
    active_s=60.0,
    end_reason=None,
    has_failed=False,
)
GOOD, BAD = (0.90, 0.91, 0.92), (0.80, 0.81, 0.79)


def make_row(number: int, trial: int, seed: int, value: float) -> TrialRow:
    return TrialRow(
        trial_id=number,
        number=number,
        state="COMPLETE",
        value=value,
        params={},
        attributes={CONFIRMS_ATTRIBUTE: {"trial": trial, "seed": seed}},
        outcome=Outcome("complete", value=value),
        curve=Curve(5, 50.0, 4, value),
        started=datetime(2026, 1, 1),
        finished=datetime(2026, 1, 1, 0, 1),
    )


STATUS = StudyStatus(
    RECORD,
    (make_row(0, 12, 0, 0.95), make_row(1, 7, 0, 0.9), make_row(2, 12, 1, 0.85)),
    (),
)


def make_result(
    values: Mapping[int, Sequence[float]], *, n_left: int = 0, n_skipped: int = 0
) -> ConfirmResult:
    """Return a confirmation's result with values by trial; `n_left` trainings are missing."""
    pairs = [(trial, seed, value) for trial, it in values.items() for seed, value in enumerate(it)]
    done = [
        Training(number, trial, seed, value, 1000)
        for number, (trial, seed, value) in enumerate(pairs)
    ]
    waiting = [Training(len(done) + n, 12, 5 - n, None, None) for n in range(n_left)]
    trainings = Trainings(RECORD, (*done, *waiting), not n_left, n_left, n_skipped)
    confirmation = trainings.compare_configs(0.01)
    ranking = Ranking("scans", ())
    winner = None if n_left else choose_winner(ranking, trainings, confirmation)
    run = RunResult("", ranking, STATUS)
    return ConfirmResult(ranking, run, trainings, confirmation, winner, None, ())


def shown(result: ConfirmResult, *, opens_test: bool | None = None) -> str:
    console = Console(file=io.StringIO(), width=80, markup=False, highlight=False)
    show_confirm_result(console, console, result, opens_test=opens_test)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_nothing_is_recommended_after_too_few_trainings() -> None:
    result = make_result({12: GOOD[:2], 7: BAD[:1]}, n_left=3)
    text = shown(result)
    assert "So far: trial 12 leads, too few trainings to recommend; 3 trainings left." in text
    assert "Recommended" not in text
    assert result.to_json()["recommended"] is None
    assert result.to_json()["trainings_left"] == 3


def test_recommendation_before_the_end_is_provisional() -> None:
    result = make_result({12: GOOD, 7: BAD}, n_left=1)
    assert "So far, with 1 training left: Recommended: trial 12" in shown(result)
    assert result.to_json()["recommended"] == 12


def test_end_says_what_was_exported_and_how_many_trainings_were_skipped() -> None:
    text = shown(make_result({12: GOOD, 7: BAD}, n_skipped=2))
    assert "\nRecommended: trial 12" in text
    assert "Exported: training 1 (trial 12, seed 1), validation accuracy 0.9100" in text
    assert "Skipped: 2 trainings of configs that are clearly worse." in text
    assert "Skipped" not in shown(make_result({12: GOOD, 7: BAD}))


def test_next_command_uses_the_test_split_only_if_this_one_did() -> None:
    result = make_result({12: GOOD})
    assert "convsearch report scans --out scans-report\n" in shown(result)
    assert "--out scans-report --no-test\n" in shown(result, opens_test=False)


def test_next_command_works_where_there_is_a_report_already(tmp_path: Path) -> None:
    (tmp_path / "scans-report").mkdir()
    (tmp_path / "scans-report" / "report.html").write_text("")
    assert "--force" not in shown(make_result({12: GOOD}))  # It is unfinished.
    (tmp_path / "scans-report" / "report.json").write_text("")
    assert "--out scans-report --force\n" in shown(make_result({12: GOOD}))


def test_running_trainings_are_named_and_the_best_is_a_mean() -> None:
    console = Console(file=io.StringIO(), width=100, markup=False, highlight=False)
    with live_view(console) as view:
        view(replace(STATUS, trials=()))
        view(STATUS)
    console.print(render(STATUS))
    show_status(console, STATUS)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "training 2 (trial 12, seed 1) complete: 0.8500" in text
    assert text.count("leading mean 0.9000 of trial 12 (2 seeds)") == 5
    assert "best" not in text
