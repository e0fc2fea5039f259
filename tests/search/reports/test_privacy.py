"""Privacy: reports and exports do not show on which machines trials ran."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from analysis import write_report
from analysis.report import write
from analysis.report.facts import Facts
from analysis.results.export import load_export, write_export
from search.reports.gather_facts import gather_facts
from search.studies.open_study import OpenStudy
from search.trainer.process import Trainer
from search.workers.proposals import next_proposal
from search.workers.trial_runner import Interruption, TrialRunner
from storage import Outcome, finish_trial, load_trials, register_worker

FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
NEVER = Interruption(now=lambda: False, at_epoch_end=lambda: False)
HOST = "somebodys-laptop"


@pytest.fixture
def searched(opened: OpenStudy) -> OpenStudy:
    """A study with a complete trial that records where it ran."""
    proposal = next_proposal(opened, register_worker(opened.store, opened.study_id))
    assert proposal is not None
    proposal.trial.set_user_attr("ran_on", [f"{HOST}, gpu 0"])
    with closing(Trainer(command=(sys.executable, FAKE, "well"))) as trainer:
        ending = TrialRunner(opened, proposal, trainer, NEVER).run()
    assert isinstance(ending, Outcome)
    finish_trial(opened.store, proposal.lease, ending, proposal.pending)
    (row,) = load_trials(opened.store, opened.study_id)
    assert row.attributes["ran_on"] == [f"{HOST}, gpu 0"]
    return opened


@pytest.fixture
def facts(searched: OpenStudy) -> Facts:
    return gather_facts(searched.store, searched.name)


def test_report_does_not_show_where_trials_ran(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "write_notebook", lambda _, path, **__: path.write_text("{}"))
    paths = write_report(facts, tmp_path, store="sqlite:///there.db")
    for path in paths:
        assert HOST not in path.read_text(encoding="utf-8")
    assert HOST not in repr(facts)


def test_gathering_facts_does_not_change_the_optuna_study(
    facts: Facts, searched: OpenStudy
) -> None:
    held = searched.study.get_trials(deepcopy=False)[0]
    assert "ran_on" in held.user_attrs
    assert facts.trials[0].user_attrs == {
        name: value for name, value in held.user_attrs.items() if name != "ran_on"
    }


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_export_does_not_show_where_trials_ran(searched: OpenStudy, kind: str) -> None:
    text = write_export(load_export(searched.store, searched.name), kind)
    assert "0.7" in text or "0.6" in text
    assert HOST not in text
