"""The commands `submit` and `worker`: options, output and errors."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from search.settings.plan import StudyPlan
from storage import Store, load_study, set_stopped

Call = Callable[..., tuple[int, str, str]]
TINY = ("--image-size", "16", "--families", "plain", "--max-epochs", "2")


def test_submit_creates_a_study_and_says_how_to_serve_it(call: Call, blobs: Path) -> None:
    code, out, err = call("submit", str(blobs), *TINY, "--trials", "4", "--priority", "2")
    assert code == 0
    assert "Study blobs in sqlite:///convsearch.db" in err
    assert "worker" not in err
    assert out.splitlines() == [
        "Workers on this machine serve it:",
        "  convsearch worker",
    ]
    record = load_study(Store.open("sqlite:///convsearch.db"), "blobs")
    assert (record.n_trials, record.priority) == (4, 2)


def test_submit_again_sets_the_budget_and_reopens_a_stopped_study(call: Call, blobs: Path) -> None:
    options = (str(blobs), *TINY, "--json")
    first = json.loads(call("submit", *options, "--trials", "4", "--priority", "2")[1])
    assert first == {
        "study": "blobs",
        "store": "sqlite:///convsearch.db",
        "is_new": True,
        "priority": 2,
        "budget": {"trials": 4, "timeout_s": None},
    }
    store = Store.open("sqlite:///convsearch.db")
    set_stopped(store, load_study(store, "blobs").study_id, True)
    again = json.loads(call("submit", *options, "--timeout", "2m")[1])
    assert again["budget"] == {"trials": None, "timeout_s": 120.0}
    assert (again["is_new"], again["priority"]) == (False, 2)
    assert load_study(store, "blobs").is_stopped is False


def test_study_file_sets_priority_and_devices(call: Call, blobs: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        f"[study]\npriority = 7\ngpus = '0,1'\ntrainers_per_gpu = 2\n"
        f"[data]\nsource = '{blobs}'\nimage_size = 16\n[space]\nfamilies = ['plain']\n"
    )
    assert json.loads(call("submit", str(study), "--json")[1])["priority"] == 7
    command_line = call("submit", str(study), "--json", "--priority", "-1")[1]
    assert json.loads(command_line)["priority"] == -1
    assert StudyPlan.model_fields["study"].default.trainers_per_gpu == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("submit", "demo", "--priority", "5000"), "--priority: expected 1000 or less"),
        (("submit", "demo", "--workers", "2"), "No such option: --workers"),
        (("run", "demo", "--gpus", "3"), "--gpus: expected auto, none, or some of this machine's"),
        (("run", "demo", "--trainers-per-gpu", "0"), "--trainers-per-gpu: expected 1 or more"),
        (("worker", "--gpus", "3"), "this machine's GPUs: none. Received: 3"),
        (("worker", "--workers", "0"), "--workers: expected 1 or more, or auto. Received: 0."),
        (("worker", "--workers", "some"), "--workers: expected 1 or more, or auto."),
        (("worker", "--idle-exit", "soon"), "--idle-exit: expected a duration such as 90s"),
        (("worker", "--idle-exit", "-5s"), "--idle-exit: expected a duration such as 90s"),
        (("worker", "--log-format", "xml"), "expected one of 'text', 'json'. Received: xml."),
        (("worker", "one", "--idle-exit", "5m"), "--idle-exit is for a worker of every study"),
    ],
)  # fmt: skip
def test_misuse_is_one_line_and_nothing_is_written(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


def test_worker_without_a_store_is_a_failure(call: Call) -> None:
    code, _, err = call("worker")
    assert code == 1
    assert "There is no store at convsearch.db" in err


def test_submit_again_warns_that_artifacts_are_elsewhere(
    call: Call, blobs: Path, tmp_path: Path
) -> None:
    call("submit", str(blobs), *TINY, "--trials", "4")
    code, _, err = call("submit", str(blobs), *TINY, "--artifacts", str(tmp_path / "other"))
    assert code == 0
    assert f"artifacts go to {tmp_path / 'other'}; those so far stay in" in " ".join(err.split())
