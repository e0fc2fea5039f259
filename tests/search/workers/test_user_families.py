"""A user's own family from a module outside the package: it runs, and its errors are kept."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import search
from search.errors import StudyMismatchError
from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.space_table import read_space
from search.studies.submission import submit
from search.trainer.pool import TrainerPool
from search.workers.family_failures import MAX_TRACEBACK
from search.workers.proposals import MAX_FAILURES
from search.workers.worker import Worker
from spaces import SpaceError
from spaces.families import default_families
from spaces.parameters import Choices
from spaces.user_families import _loaded
from storage import TrialRow, load_study, load_trials

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "tests" / "examples" / "wide.py"
FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
MakeStudy = Callable[..., OpenStudy]

pytestmark = pytest.mark.usefixtures("clean_registry")


@pytest.fixture
def make_own(blobs: Path, tmp_path: Path) -> MakeStudy:
    """Make a study of the example family, with `old` in its code replaced by `new`."""

    def make(old: str = "", new: str = "", *, trials: int = 3, **space: Any) -> OpenStudy:
        text = EXAMPLE.read_text()
        assert old in text
        module = tmp_path / "wide.py"
        module.write_text(text.replace(old, new, 1) if old else text)
        plan: dict[str, Any] = {
            "study": {"name": "own", "workers": 1},
            "data": {"source": str(blobs), "image_size": 16},
            "space": {"modules": [str(module)], "families": ["wide"], **space},
            "training": {"max_epochs": 3},
            "search": {"pruner": "none", "sampler": "random", "seed": 2},
            "budget": {"trials": trials},
            "store": {"url": f"sqlite:///{tmp_path / 'store.db'}"},
        }
        if plan["space"]["families"] is None:
            del plan["space"]["families"]
        submission = submit(resolve_plan(StudyPlan.model_validate(plan)))
        return OpenStudy.load(submission.store, "own")

    return make


def run_worker(opened: OpenStudy, mode: str = "well") -> list[TrialRow]:
    Worker(opened, TrainerPool(command=(sys.executable, FAKE, mode))).run()
    return load_trials(opened.store, opened.study_id)


def write_study_file(folder: Path, source: Path, text: str) -> Path:
    (folder / "wide.py").write_text(text)
    file = folder / "study.toml"
    file.write_text(
        f'[study]\nname = "own"\nworkers = 1\n[data]\nsource = "{source}"\nimage_size = 16\n'
        '[space]\nmodules = ["wide.py"]\nfamilies = ["wide"]\nwide_width = 8\nbatch_size = 16\n'
        "[training]\nmax_epochs = 2\n[budget]\ntrials = 3\n"
        f'[store]\nurl = "sqlite:///{folder / "store.db"}"\n'
    )
    return file


def test_own_parameter_may_be_called_backbone(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("wide_width", "backbone")
    text = text.replace("IntRange(8, 256, log=True)", "Choices((16, 64))")
    text = text.replace("import IntRange", "import Choices")
    text = text.replace('draw.integer("backbone")', 'draw.one_of("backbone", (16, 64))')
    (tmp_path / "wide.py").write_text(text)
    plan = {"space": {"modules": [str(tmp_path / "wide.py")], "families": ["wide"]}}
    _, space = read_space(StudyPlan.model_validate({"data": {"source": "demo"}, **plan}))
    assert space.domains["backbone"] == Choices((16, 64))


def test_family_from_a_module_beside_the_study_file_is_searched(
    blobs: Path, tmp_path: Path
) -> None:
    file = write_study_file(tmp_path, blobs, EXAMPLE.read_text())
    ranking = search.run(file)
    assert len(ranking.complete) == 3
    assert {trial.family for trial in ranking.complete} == {"wide"}


@pytest.mark.slow
def test_family_that_fails_in_keras_alone_ends_the_study(blobs: Path, tmp_path: Path) -> None:
    broken = EXAMPLE.read_text().replace(
        "        return layers.max_pool",
        '        if type(layers).__name__ == "KerasLayers":\n'
        '            raise RuntimeError("only in Keras")\n'
        "        return layers.max_pool",
    )
    file = write_study_file(tmp_path, blobs, broken)
    done = subprocess.run(
        [sys.executable, "-m", "search", "run", str(file), "--json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "The family `wide` raised 3 times in a row" in done.stderr
    assert "wide.py line 15). Fix it" in done.stderr
    assert "RuntimeError: only in Keras" in done.stderr
    assert json.loads(done.stdout)["trials"] == []


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("return WideNetwork(", "return 1 / 0 or WideNetwork(", "ZeroDivisionError"),
        ('draw.integer("wide_width")', "[][3]", "IndexError: list index out of range"),
        (
            "x = conv_block(",
            'raise KeyError("build")\n        x = conv_block(',
            "KeyError: 'build'",
        ),
        ("return WideNetwork(", "return object() or WideNetwork(", "TypeError"),
    ],
)
def test_family_that_raises_ends_its_trials_and_then_the_study(
    make_own: MakeStudy, old: str, new: str, error: str
) -> None:
    opened = make_own(old, new)
    rows = run_worker(opened)
    assert [row.state for row in rows] == ["FAIL"] * 3
    for row in rows:
        assert row.outcome is not None
        assert row.outcome.reason.startswith(error)
        assert "Traceback (most recent call last)" in row.attributes["traceback"]
        assert 'wide.py", line' in row.attributes["traceback"] or error == "TypeError"
    record = load_study(opened.store, opened.name)
    assert record.has_failed
    assert record.end_reason is not None
    assert "`wide` raised 3 times in a row, the last time " + error in record.end_reason
    assert "wide.py" in record.end_reason


def test_long_traceback_is_cut_to_its_end(make_own: MakeStudy) -> None:
    opened = make_own(
        "return WideNetwork(",
        'raise ValueError("x" * 50_000 + "end")\n        return WideNetwork(',
    )
    rows = run_worker(opened)
    assert len(rows[0].attributes["traceback"]) == MAX_TRACEBACK
    assert rows[0].attributes["traceback"].endswith("end\n")


def test_trainers_exception_is_kept_with_the_trial(make_own: MakeStudy) -> None:
    opened = make_own()
    rows = run_worker(opened, "failed")
    assert [row.attributes["traceback"] for row in rows] == ["Traceback ..."] * MAX_FAILURES


def test_error_of_other_code_is_not_attributed_to_the_module(make_own: MakeStudy) -> None:
    opened = make_own()
    run_worker(opened, "failed")
    record = load_study(opened.store, opened.name)
    assert record.has_failed
    assert record.end_reason is not None
    assert record.end_reason.startswith(f"The last {MAX_FAILURES} trials failed")


def test_family_that_raises_occasionally_does_not_end_the_study(make_own: MakeStudy) -> None:
    opened = make_own(
        "return WideNetwork(",
        'if draw.integer("batch_size") == 128:\n'
        '            raise ValueError("now and then")\n'
        "        return WideNetwork(",
        trials=8,
    )
    rows = run_worker(opened)
    assert "FAIL" in {row.state for row in rows}
    assert load_study(opened.store, opened.name).end_reason is None


def test_broken_family_among_others_ends_the_study(make_own: MakeStudy) -> None:
    broken = ("return WideNetwork(", "return 1 / 0 or WideNetwork(")
    opened = make_own(*broken, families=["plain", "wide"], trials=8)
    run_worker(opened)
    assert "`wide`" in (load_study(opened.store, opened.name).end_reason or "")


def test_changed_module_is_another_study(make_own: MakeStudy) -> None:
    make_own()
    with pytest.raises(StudyMismatchError, match=r"`modules`: .*wide\.py \([0-9a-f]{12}\) there"):
        make_own("conv_block(x, self.width, 5", "conv_block(x, self.width, 3")


def test_module_that_has_moved_is_the_same_study(make_own: MakeStudy, tmp_path: Path) -> None:
    first = make_own()
    (tmp_path / "moved").mkdir()
    moved = tmp_path / "moved" / "wide.py"
    moved.write_text((tmp_path / "wide.py").read_text())
    again = make_own(modules=[str(moved)])
    assert again.study_id == first.study_id
    assert again.settings.modules[0].source == str(moved)


def test_worker_refuses_another_content_and_a_missing_file(
    make_own: MakeStudy, tmp_path: Path
) -> None:
    opened = make_own()
    module = tmp_path / "wide.py"
    module.write_text(module.read_text() + "# other\n")
    _loaded.clear()
    with pytest.raises(SpaceError, match="is not the module of the study"):
        OpenStudy.load(opened.store, opened.name, trust_modules=True)
    module.unlink()
    with pytest.raises(SpaceError, match="is not on this machine"):
        OpenStudy.load(opened.store, opened.name, trust_modules=True)


def test_family_is_searched_beside_the_default_ones_unless_families_are_named(
    make_own: MakeStudy,
) -> None:
    opened = make_own(families=None)
    assert opened.space.families == (*default_families(), "wide")


def test_documentation_shows_the_example_as_it_is() -> None:
    assert EXAMPLE.read_text() in (ROOT / "docs" / "own-family.md").read_text()
