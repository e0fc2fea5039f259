"""The worker: it spends the budget exactly, ends failing studies, and releases trials."""

import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis import load_status, rank
from search.errors import DataError, WorkerStartError
from search.machine.processes import module_command
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.trainer.protocol import Ready
from search.workers.proposals import MAX_WASTED_PROPOSALS
from search.workers.worker import Worker
from storage import Store, load_study, load_trials

FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
MakeStudy = Callable[..., OpenStudy]
ONE_POINT: dict[str, Any] = {
    "stages": 1,
    "convs": 1,
    "channels": 8,
    "kernel_size": 3,
    "pool": False,
    "head": "flatten",
    "dense_layers": 0,
    "kernel_initializer": "he_normal",
    "bias_initializer": "he_normal",
    "activation": "relu",
    "batch_normalization": False,
    "dropout": 0.0,
    "regularizer": "none",
    "optimizer": "sgd",
    "sgd_learning_rate": 0.01,
    "sgd_momentum": 0.9,
    "sgd_nesterov": False,
    "batch_size": 16,
    "augmentation": False,
}
TWELVE_POINTS = {**ONE_POINT, "kernel_size": [3, 4, 5, 6], "activation": ["relu", "elu", "tanh"]}


def make_worker(opened: OpenStudy, mode: str = "well") -> Worker:
    return Worker(opened, TrainerPool(command=(sys.executable, FAKE, mode)))


def counts(opened: OpenStudy) -> dict[str, int]:
    return {k: n for k, n in load_status(opened.store, opened.name).counts.items() if n}


def test_worker_trains_exactly_the_budget(opened: OpenStudy) -> None:
    make_worker(opened).run()
    assert counts(opened) == {"complete": 3}
    assert load_status(opened.store, opened.name).workers == ()


def test_images_deleted_from_the_cache_between_trials_are_fetched_again(
    opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened.data["scratch"]
    was_there: list[bool] = []

    def empty_cache(*_: object) -> None:
        was_there.append(opened.data["scratch"].path.is_file())
        shutil.rmtree(first.path.parent, ignore_errors=True)

    monkeypatch.setattr(type(opened.artifacts), "clean_up", empty_cache)  # After each trial.
    make_worker(opened).run()
    assert counts(opened) == {"complete": 3}
    assert was_there == [True, True, True]
    assert opened.data_of("plain").fingerprint == first.fingerprint


def test_trial_whose_images_are_deleted_before_its_training_waits(
    opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise DataError("The prepared images are gone.")

    monkeypatch.setattr(OpenStudy, "data_of", gone)
    with pytest.raises(DataError):
        make_worker(opened).run()
    assert counts(opened) == {"waiting": 1}
    monkeypatch.undo()
    make_worker(opened).run()
    assert counts(opened) == {"complete": 3}


CANNOT_START = {
    "missing library": (
        (sys.executable, "-c", "raise ImportError('a library is missing')"),
        "a library is missing",
    ),
    "abort": ((sys.executable, "-c", "import os; os.abort()"), "code -6: It printed nothing"),
    "too little address space": (
        ("sh", "-c", 'ulimit -v 600000; exec "$@"', "sh", *module_command("search.training.main")),
        "exit code [^:]*: .*Error",
    ),
}


@pytest.mark.parametrize(("command", "words"), CANNOT_START.values(), ids=CANNOT_START)
def test_worker_whose_trainers_cannot_start_says_why_and_spends_nothing(
    opened: OpenStudy, command: tuple[str, ...], words: str
) -> None:
    with pytest.raises(WorkerStartError, match=f"Trainers cannot start here.*{words}"):
        Worker(opened, TrainerPool(command=command)).run()
    assert counts(opened) == {"waiting": 1}
    make_worker(opened).run()
    assert counts(opened) == {"complete": 3}


@pytest.mark.parametrize(
    "program",
    [
        "sys.exit('terminate called after throwing an instance of std::bad_alloc')",
        "os.abort()",
        "print(encode(Unfit('The network needs more memory than there is.')), end=''); input()",
        "print(encode(Failed('ImportError: x.so: failed to map segment', '')), end=''); input()",
    ],
    ids=["ended", "aborted", "unfit", "failed"],
)
def test_trainer_that_is_ready_and_has_too_little_address_space_spends_nothing(
    opened: OpenStudy, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    script = (
        "import os, sys; from search.trainer.protocol import Failed, Ready, Unfit, encode;"
        f"print(encode(Ready(1.0)), end='', flush=True); input(); {program}"
    )
    limit_mb = [1700.0]
    monkeypatch.setattr("search.workers.trial_runner.address_space_mb", lambda: limit_mb[0])
    command = (sys.executable, "-u", "-c", script)
    with pytest.raises(
        WorkerStartError, match=r"start here: 1,700 MB of address space.* too little: "
    ):
        Worker(opened, TrainerPool(command=command)).run()
    assert counts(opened) == {"waiting": 1}
    limit_mb[0] = None
    make_worker(opened).run()
    assert counts(opened) == {"complete": 3}


def test_last_words_of_a_trainer_that_dies_each_time_are_the_reason(opened: OpenStudy) -> None:
    make_worker(opened, "left").run()
    rows = [row for row in load_trials(opened.store, opened.study_id) if row.outcome is not None]
    assert {row.outcome.reason for row in rows if row.outcome is not None} == {
        "Its worker or trainer was lost 3 times. The last trainer printed: last words"
    }


def test_later_trainer_that_cannot_start_loses_its_trial_once(
    opened: OpenStudy, tmp_path: Path
) -> None:
    """The first trainer is killed in a trial, the second ends at once, the third one works."""
    count = tmp_path / "count"
    script = (
        f"echo >> {count}; n=$(wc -l < {count}); [ $n = 2 ] && exit 1; "
        f"mode=well; [ $n = 1 ] && mode=killed; exec {sys.executable} {FAKE} $mode"
    )
    Worker(opened, TrainerPool(command=("sh", "-c", script))).run()
    assert counts(opened) == {"complete": 3}
    assert len(count.read_text()) == 3


def test_two_workers_share_the_budget_exactly(make_study: MakeStudy) -> None:
    opened = make_study(budget={"trials": 9})
    url = opened.store.url.render_as_string(hide_password=False)
    other = OpenStudy.load(Store.open(url), opened.name)
    threads = [threading.Thread(target=make_worker(it).run) for it in (opened, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert counts(opened)["complete"] == 9


def test_space_of_twelve_points_ends_after_twelve_trials(make_study: MakeStudy) -> None:
    opened = make_study(space=TWELVE_POINTS, budget={"trials": 24})
    make_worker(opened).run()
    record = load_study(opened.store, opened.name)
    assert counts(opened)["complete"] == 12
    assert record.has_failed is False
    assert record.end_reason == (
        "The search space is exhausted: all 12 configurations were drawn. "
        "Widen [space] to continue."
    )


def test_no_config_is_trained_twice_and_the_sampler_ignores_repeats(
    make_study: MakeStudy,
) -> None:
    opened = make_study(space=TWELVE_POINTS, budget={"trials": 12})
    make_worker(opened).run()
    rows = load_trials(opened.store, opened.study_id)
    trained = Counter(str(row.params) for row in rows if row.state == "COMPLETE")
    assert set(trained.values()) == {1}
    repeats = [row for row in rows if row.outcome is not None and row.outcome.kind == "repeat"]
    assert repeats  # Twelve draws of twelve have none with p = 1/19,000.
    assert {row.state for row in repeats} == {"FAIL"}
    assert all(
        "The same configuration as trial" in str(row.attributes["reason"]) for row in repeats
    )


def test_study_whose_proposals_are_all_too_large_ends_and_names_the_limit(
    make_study: MakeStudy,
) -> None:
    opened = make_study(
        space={"stages": [1, 2]}, search={"max_parameters": 900, "sampler": "random"}
    )
    opened = open_with_limit(opened, max_parameters=1, max_operations=1_350_000_000)
    make_worker(opened).run()
    record = load_study(opened.store, opened.name)
    assert record.has_failed is False
    assert record.end_reason is not None
    assert (
        f"The last {MAX_WASTED_PROPOSALS} proposals were 0 repeats and 100 over"
        in record.end_reason
    )
    assert "--max-parameters (now 1)" in record.end_reason
    assert "--max-operations (now 1,350 million)" in record.end_reason
    assert counts(opened)["rejected"] == MAX_WASTED_PROPOSALS


def open_with_limit(opened: OpenStudy, **limits: int) -> OpenStudy:
    """Set limits of a study that `submit` would have refused."""
    changed = {"scratch": replace(opened.settings.limits["scratch"], **limits)}
    return replace(opened, settings=opened.settings.model_copy(update={"limits": changed}))


def test_five_failures_in_a_row_end_the_study(make_study: MakeStudy) -> None:
    opened = make_study(budget={"trials": 20})
    make_worker(opened, "failed").run()
    record = load_study(opened.store, opened.name)
    assert counts(opened)["fail"] == 5
    assert record.has_failed
    assert record.end_reason == "The last 5 trials failed; `rank --all` shows why."


def test_trial_whose_trainer_dies_each_time_fails_after_three(opened: OpenStudy) -> None:
    worker = make_worker(opened, "killed")
    worker.run()
    rows = [row for row in load_trials(opened.store, opened.study_id) if row.outcome is not None]
    assert {row.outcome.reason for row in rows if row.outcome is not None} == {
        "Its worker or trainer was lost 3 times."
    }
    assert load_study(opened.store, opened.name).has_failed


def test_stopped_worker_releases_its_trial_and_another_resumes_it(
    opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.workers.study_session.socket.gethostname", lambda: "first")
    worker = make_worker(opened, "hung")
    thread = threading.Thread(target=worker.run)
    began = time.monotonic()
    thread.start()
    while not any(row.curve.n_epochs == 2 for row in load_trials(opened.store, opened.study_id)):
        assert time.monotonic() < began + 60
        time.sleep(0.05)
    started = time.monotonic()
    worker.shutdown.request()
    thread.join()
    assert time.monotonic() - started < 20
    assert counts(opened)["waiting"] >= 1
    assert "running" not in counts(opened)
    monkeypatch.setattr("search.workers.study_session.socket.gethostname", lambda: "second")
    make_worker(opened).run()
    assert counts(opened) == {"complete": 3}
    rows = load_trials(opened.store, opened.study_id)
    assert [row.curve.n_epochs for row in rows] == [3, 3, 3]
    places = [row.attributes["ran_on"] for row in rows]
    assert places == [["first, cpu", "second, cpu"], ["second, cpu"], ["second, cpu"]]
    assert {str(row.attributes["confusion"]) for row in rows} == {"[[3, 1], [0, 2]]"}


def test_unfit_trials_count_and_have_no_rank(opened: OpenStudy) -> None:
    make_worker(opened, "nan").run()
    assert counts(opened) == {"unfit": 3}
    ranking = rank(opened.store, opened.name)
    assert [trial.rank for trial in ranking.counted] == [None] * 3
    assert {trial.reason for trial in ranking.counted} == {"The loss became nan in epoch 3."}


def test_time_budget_ends_the_study_and_its_trial_waits(make_study: MakeStudy) -> None:
    opened = make_study(budget={"trials": None, "timeout": "2s"})
    started = time.monotonic()
    pool = TrainerPool(command=(sys.executable, FAKE, "well"))
    assert isinstance(pool.take().receive(60), Ready)
    Worker(opened, pool).run()
    assert time.monotonic() - started < 60
    status = load_status(opened.store, opened.name)
    assert status.counts["running"] == 0
    assert status.n_done >= 1
    assert status.record.active_s >= 2


def test_failed_study_continues_once_it_is_resumed(make_study: MakeStudy) -> None:
    opened = make_study()
    make_worker(opened, "failed").run()
    assert load_study(opened.store, opened.name).has_failed
    again = make_study()
    make_worker(again).run()
    assert counts(again)["complete"] == 3
    assert load_study(again.store, again.name).end_reason is None
