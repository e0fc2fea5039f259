"""Notes say what a trial is and how it ended, whatever is in its record."""

from dataclasses import replace
from typing import Any

import pytest

from analysis.dashboard.notes import literal, study_note, trial_note
from analysis.status import StudyStatus
from spaces import SearchSpace
from spaces.trials import GuidedTrial
from storage import Curve, Outcome, StudyRecord, TrialRow
from tests.analysis.report import made_facts


def row(kind: str = "complete", **fields: Any) -> TrialRow:
    """A trial that ended so."""
    states = {"complete": "COMPLETE", "fail": "FAIL", "repeat": "FAIL", "running": "RUNNING"}
    outcome = None if kind == "running" else Outcome(kind, "The <b>reason</b>.")  # type: ignore[arg-type]
    base = TrialRow(
        trial_id=1,
        number=0,
        state=states.get(kind, "PRUNED"),
        value=0.875 if kind == "complete" else None,
        params={},
        attributes={"config": {"family": "plain"}, "parameters": 12345, "ran_on": ["box, cpu"]},
        outcome=outcome,
        curve=Curve(4, 80.0, 3, 0.875, 1234.5),
        started=None,
        finished=None,
    )
    return replace(base, **fields)


def status(*rows: TrialRow, **record: Any) -> StudyStatus:
    fields = {
        "study_id": 1, "name": "scans", "settings": "{}", "n_trials": 10, "timeout_s": None,
        "active_s": 100.0, "end_reason": None, "has_failed": False, **record,
    }  # fmt: skip
    return StudyStatus(StudyRecord(**fields), rows, ())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("complete", "trained to its end"), ("pruned", "stopped by the pruner"),
        ("rejected", "over a limit"), ("repeat", "tried before"), ("fail", "**failed**"),
        ("unfit", "could not be trained"), ("running", "running, after 4 epochs"),
    ],
)  # fmt: skip
def test_first_line_says_how_a_trial_ended(kind: str, words: str) -> None:
    assert words in trial_note(row(kind)).splitlines()[0]


def test_note_of_a_trial_tells_its_figures() -> None:
    note = trial_note(row(), max_epochs=8)
    for words in (
        "0.8750",
        "12,345 parameters",
        "4 epochs of at most 8",
        "epoch 3",
        "1,234 MB",
        "box, cpu",
    ):
        assert words in note


def test_text_of_others_is_shown_as_it_is() -> None:
    assert "<b>" not in trial_note(row("fail")).replace("\\<b\\>", "")
    assert literal("a|b `c` ![d](e)\n# f") == r"a\|b \`c\` \!\[d\]\(e\) \# f"


@pytest.mark.parametrize("family", ["plain", "vgg", "inception", "residual", "dense"])
def test_network_of_each_family_is_a_line(family: str) -> None:
    config = SearchSpace.create([family]).suggest(GuidedTrial({})).to_json()
    note = trial_note(row(attributes={"config": config}))
    (network,) = (line for line in note.splitlines() if line.startswith("- network"))
    assert len(network) > 25
    assert "batches of" in note


@pytest.mark.parametrize(
    "config",
    [
        {}, {"family": "own"}, {"family": "plain", "network": []}, {"family": 3, "network": {}},
        {"family": "plain", "network": {"stages": [{}]}}, {"family": "vgg", "head": None},
    ],
)  # fmt: skip
def test_odd_record_is_no_error(config: dict[str, Any]) -> None:
    assert trial_note(row(attributes={"config": config}))


def test_nothing_is_said_of_a_trial_of_optuna_alone() -> None:
    plain = row("running", attributes={}, curve=Curve())
    assert trial_note(plain) == ""
    assert study_note(status(plain, is_plain=True)) == ""


def test_study_says_how_far_it_is_and_what_to_mind() -> None:
    note = study_note(status(row(), row("fail"), row("running")))
    assert "1 of 10 trials done" in note
    assert "Nobody is at work" in note
    assert "1 trial failed" in note
    assert "| plain | 0.8750 | 0 | 12,345 | 1 |" in note


def test_study_that_is_over_says_what_comes_next() -> None:
    over = status(row(), n_trials=1)
    assert "convsearch confirm scans" in study_note(over)
    assert "a first guess" in study_note(over)
    assert "confirm" not in study_note(status(n_trials=1))


def test_data_is_told_with_its_sample_images() -> None:
    data = made_facts.make_facts().data
    note = study_note(status(row()), data=data, samples_url="/artifacts/1/4")
    assert "![Training images](/artifacts/1/4)" in note
    for name in data.classes:
        assert literal(name) in note


def test_note_stays_the_same_while_only_time_passes() -> None:
    first, later = (study_note(status(row(), active_s=s)) for s in (600.0, 601.5))
    assert first == later
