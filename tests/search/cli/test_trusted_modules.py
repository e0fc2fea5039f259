"""Modules that a store names: commands that read it run none of them without permission."""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from search.evaluation.confirmation_study import submit_confirmation
from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from search.trainer.pool import TrainerPool
from search.workers.worker import Worker
from spaces.families.registry import unregister_families
from spaces.user_families import _loaded
from storage import Store
from storage.studies.records import update_study

TESTS = Path(__file__).parents[2]
FAKE = str(TESTS / "search" / "fake_trainer.py")
Call = Callable[..., tuple[int, str, str]]
READING = [
    ("rank", "own"),
    ("status", "own"),
    ("study", "show", "own"),
    ("study", "list"),
    ("study", "export", "own"),
    ("doctor",),
]
RUNNING = [
    ("report", "own", "--out", "report"),
    ("confirm", "own", "--top", "1", "--seeds", "2"),
    ("reproduce", "own", "0"),
    ("study", "fork", "own", "new", "--set", "dropout=0.1"),
]


@pytest.fixture
def url(blobs: Path, tmp_path: Path, clean_registry: None) -> str:
    """The URL of a store with a study of a module that this process has not run."""
    module = tmp_path / "wide.py"
    text = (TESTS / "examples" / "wide.py").read_text()
    module.write_text(f"open(__file__ + '.run', 'a').write('once ')\n{text}")
    url = f"sqlite:///{tmp_path / 'store.db'}"
    plan = {
        "study": {"name": "own", "workers": 1},
        "data": {"source": str(blobs), "image_size": 16},
        "space": {"modules": [str(module)], "families": ["wide"]},
        "search": {"pruner": "none", "sampler": "random"},
        "budget": {"trials": 2},
        "store": {"url": url},
    }
    trainers = TrainerPool(command=(sys.executable, FAKE, "well"))
    with closing(submit(resolve_plan(StudyPlan.model_validate(plan))).store) as store:
        Worker(OpenStudy.load(store, "own"), trainers).run()
    unregister_families(_loaded.pop(str(module))[1])
    run_file(tmp_path).unlink()
    return url


def run_file(folder: Path) -> Path:
    """Return the file that the module writes to each time it is run."""
    return folder / "wide.py.run"


def test_no_command_runs_a_module_that_only_the_store_names(
    call: Call, url: str, tmp_path: Path
) -> None:
    for arguments in READING:
        code, _, err = call(*arguments, "--store", url)
        assert code == 0, err
    for arguments in RUNNING:
        code, _, err = call(*arguments, "--store", url)
        assert code == 2, arguments
        assert f"{tmp_path / 'wide.py'}, whose code would be run" in err
        assert "--trust-modules" in err
    assert not run_file(tmp_path).exists()


def test_confirmation_that_names_other_modules_than_its_study_is_refused(
    call: Call, url: str, tmp_path: Path
) -> None:
    confirm = ("confirm", "own", "--top", "1", "--seeds", "2", "--trust-modules", "--store", url)
    with closing(Store.open(url, create=False)) as store:
        submission = submit_confirmation(store, "own", top=1, n_seeds=2, trust_modules=True)
        settings = json.loads(submission.record.settings)
        settings["modules"][0]["source"] = str(tmp_path / "evil.py")
        with store.write() as connection:
            update_study(connection, submission.record.study_id, settings=json.dumps(settings))
    code, _, err = call(*confirm)
    assert code == 2
    assert "own/confirm names other modules than own, whose code would be run" in err


def test_trusted_module_is_run(call: Call, url: str, tmp_path: Path) -> None:
    fork = ("study", "fork", "own", "new", "--set", "dropout=0.1", "--trust-modules")
    code, _, err = call(*fork, "--store", url)
    assert code == 0, err
    assert run_file(tmp_path).read_text() == "once "


def test_worker_says_once_whose_code_it_runs(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with closing(Store.open(url, create=False)) as store:
        for _ in range(2):
            OpenStudy.load(store, "own", trust_modules=True)
    expected = f"running the code of {tmp_path / 'wide.py'}, a module of study own"
    assert [it for it in caplog.messages if "running the code" in it] == [expected]
