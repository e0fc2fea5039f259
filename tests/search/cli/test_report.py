"""From a search to its report: the winner is confirmed, scored once, and reported."""

import getpass
import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from plotly.offline import get_plotlyjs

from analysis.report.notebook import write
from analysis.report.notebook.kernel import run_notebook
from search.errors import SettingsError
from search.evaluation.confirmation_study import submit_confirmation
from search.evaluation.trained_network import Evaluator
from search.reports.report import STEPS, report
from search.studies.open_study import OpenStudy
from search.workers.proposals import next_proposal
from storage import Outcome, finish_trial, set_budget

Call = Callable[..., tuple[int, str, str]]
FILES = {
    "report.html",
    "report.ipynb",
    "report.json",
    "trials.csv",
    "best.keras",
    "best.json",
}


def url_of(opened: OpenStudy) -> str:
    return opened.store.url.render_as_string(hide_password=False)


@pytest.fixture
def without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write notebooks without running them, which takes longer than all else."""
    monkeypatch.setattr(write, "run_notebook", lambda *_: None)


@pytest.mark.usefixtures("warm_trainer")
def test_search_is_confirmed_scored_once_and_reported(
    trained: OpenStudy, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_failed_trial(trained)
    place = ("--store", url_of(trained))
    code, out, err = call(
        "confirm", "small", "--top", "2", "--seeds", "2", "--workers", "1", *place
    )
    assert code == 0, err
    assert "small: validation accuracy over seeds" in out
    assert "Recommended: trial" in out
    assert re.search(r"Exported: training \d \(trial \d, seed \d\), validation accuracy", out)
    assert "On the test split, with 95 % intervals: accuracy" in out
    assert "Scoring the winner on the test split" in err

    command = ("report", "small", "--out", "first", *place)
    code, out, err = call(*command)
    assert code == 0, err
    assert {path.name for path in (tmp_path / "first").iterdir()} == FILES
    assert "Scoring the winner on the test split" not in err  # `confirm` did it.
    assert err.splitlines()[: len(STEPS)] == list(STEPS)
    assert "by convsearch confirm, for training" in err
    facts = json.loads((tmp_path / "first" / "report.json").read_text())
    assert facts["examined"].keys() == {"val", "test"}
    assert len(facts["test_uses"]) == 1
    assert facts["winner"]["source"] == "small/confirm"
    assert len(facts["confirmation"]["standings"]) == 2

    monkeypatch.setattr(Evaluator, "predict", lambda *_: pytest.fail("it is known"))
    code, _, err = call(*command[:3], "second", "--lang", "ru", "--json", *place)
    assert code == 0, err
    assert not any(step in err for step in STEPS)
    again = json.loads((tmp_path / "second" / "report.json").read_text())
    assert again == facts
    assert "patient7" not in (tmp_path / "first" / "report.json").read_text()
    check_notebook(tmp_path / "first" / "report.ipynb", tmp_path)
    check_nothing_personal(tmp_path / "first", trained)


def add_failed_trial(opened: OpenStudy) -> None:
    """End a trial as failed, with a message that contains a file and a person's name."""
    set_budget(opened.store, opened.study_id, n_trials=4, timeout_s=None)
    proposal = next_proposal(opened, "worker")
    assert proposal is not None
    outcome = Outcome("fail", "FileNotFoundError: /home/ivanov/patient7.png")
    finish_trial(opened.store, proposal.lease, outcome, proposal.pending)
    set_budget(opened.store, opened.study_id, n_trials=3, timeout_s=None)


def check_notebook(path: Path, folder: Path) -> None:
    """Run a notebook again in its folder, on a new kernel."""
    notebook = nbformat.read(path, as_version=4)
    assert not any("traceback" in output for output in outputs(notebook))
    before = [output["output_type"] for output in outputs(notebook)]
    assert [output["output_type"] for output in outputs(run_again(path))] == before
    assert str(folder) not in path.read_text()


def run_again(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    run_notebook(notebook, path.parent, {})
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    return (it for cell in notebook.cells for it in cell.get("outputs", ()))


def check_nothing_personal(folder: Path, opened: OpenStudy) -> None:
    """Assert that no file names a source file, a folder, a machine or a person."""
    source = Path(opened.settings.data.source)
    known = get_plotlyjs()  # Its words may be names too.
    names = [socket.gethostname(), getpass.getuser()]
    names = [name for name in names if len(name) > 4 and name not in known]
    personal = (str(source.parent), source.name, f"{Path.home()}/", *names)
    for path in folder.iterdir():
        if path.suffix == ".keras":
            continue
        text = path.read_text()
        for secret in personal:
            assert secret not in text, (path.name, secret)


@pytest.mark.usefixtures("without_kernel", "warm_trainer")
def test_report_of_a_running_study_is_partial_and_does_not_use_the_test_split(
    trained: OpenStudy, call: Call, tmp_path: Path
) -> None:
    set_budget(trained.store, trained.study_id, n_trials=5, timeout_s=None)
    place = ("--store", url_of(trained))
    code, _, err = call("report", "small", "--out", "part", *place)
    assert code == 0, err
    assert "this report is partial" in err
    facts = json.loads((tmp_path / "part" / "report.json").read_text())
    assert facts["is_partial"] is True
    assert facts["examined"].keys() == {"val"}
    assert facts["test_uses"] == []
    code, _, err = call("report", "small", "--out", "part", *place)
    assert code == 2
    assert "is not empty" in err
    assert "--force" in err
    (tmp_path / "part" / "mine.txt").write_text("stays")
    code, _, err = call("report", "small", "--out", "part", "--force", "--test", *place)
    assert code == 0, err
    facts = json.loads((tmp_path / "part" / "report.json").read_text())
    assert facts["examined"].keys() == {"val", "test"}
    assert (tmp_path / "part" / "mine.txt").read_text() == "stays"
    proposal = next_proposal(trained, "worker")  # A better trial without predictions.
    assert proposal is not None
    finish_trial(trained.store, proposal.lease, Outcome("complete", value=1.0), proposal.pending)
    run_again(tmp_path / "part" / "report.ipynb")


@pytest.mark.usefixtures("without_kernel", "warm_trainer")
def test_report_without_the_winners_weights_says_so(
    trained: OpenStudy, call: Call, tmp_path: Path
) -> None:
    shutil.rmtree(trained.artifacts.folder)
    (tmp_path / "out").mkdir()
    for name in ("best.keras", "best.json"):
        (tmp_path / "out" / name).write_text("an earlier report's")
    code, _, err = call("report", "small", "--out", "out", "--force", "--store", url_of(trained))
    assert code == 1
    assert "are not kept" in err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html",
        "report.ipynb",
        "report.json",
        "trials.csv",
    }
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert facts["cautions"][0]["kind"] == "no_weights"
    assert facts["test_uses"] == []


@pytest.mark.usefixtures("without_kernel", "warm_trainer")
def test_test_split_is_not_used_while_a_confirmation_runs(
    trained: OpenStudy, call: Call, tmp_path: Path
) -> None:
    submit_confirmation(trained.store, "small", top=1, n_seeds=2)
    options = ("--store", url_of(trained), "--trust-modules")
    code, _, err = call("report", "small", "--out", "early", *options)
    assert code == 0, err
    facts = json.loads((tmp_path / "early" / "report.json").read_text())
    assert facts["is_partial"] is True
    assert facts["examined"].keys() == {"val"}
    said = " ".join(err.split())
    assert "The confirmation is not finished" in said
    assert f"`convsearch confirm small {' '.join(options)}` resumes it" in said
    assert "The study is not over" not in said
    with pytest.raises(SettingsError, match="report that study"):
        report(url_of(trained), "small/confirm", str(tmp_path / "companion"))


def test_invalid_requests_are_errors_of_one_line(
    opened: OpenStudy, call: Call, tmp_path: Path
) -> None:
    place = ("--store", url_of(opened))
    for command in (("report", "small", "--out", "out"), ("confirm", "small")):
        code, _, err = call(*command, *place)
        assert code == 2
        assert err.startswith("Error: No trial of small is complete yet")
        assert len(err.splitlines()) <= 2
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    code, _, err = call("report", "small", "--out", "file", *place)
    assert (code, "expected a folder" in err) == (2, True)
    code, _, err = call("report", "none", "--out", "out", *place)
    assert (code, "no study 'none'" in err) == (2, True)
