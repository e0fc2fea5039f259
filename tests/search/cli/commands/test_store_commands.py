"""Commands that inspect and manage studies: list, export, delete, stop, fork, `doctor`."""

import csv
import io
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.proposals import Proposal, next_proposal
from search.workers.worker import Worker
from storage import (
    EpochRow,
    Outcome,
    StoreError,
    finish_trial,
    list_studies,
    list_workers,
    load_study,
    record_epoch,
    register_worker,
    remove_worker,
    set_budget,
    set_stopped,
)
from storage.tables import epochs, leases, studies, workers

Call = Callable[..., tuple[int, str, str]]
MakeStudy = Callable[..., OpenStudy]
FAKE = str(Path(__file__).parents[2] / "fake_trainer.py")

ON_ONE_STORE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def call(call: Call, monkeypatch: pytest.MonkeyPatch, store_url: str) -> Call:
    """Run a command on the store of the test: (exit code, standard output, standard error)."""
    monkeypatch.setenv("CONVSEARCH_STORE", store_url)
    monkeypatch.setenv("COLUMNS", "200")
    return call


@pytest.fixture
def opened(make_study: MakeStudy, store_url: str, tmp_path: Path) -> OpenStudy:
    """A study with two complete trials, a waiting one, and no live worker."""
    study = make_study(
        study={"name": "scans"},
        budget={"trials": 4},
        space={"kernel_size": [3, 5]},
        store={"url": store_url, "artifacts": str(tmp_path / "artifacts")},
    )
    worker_id = register_worker(study.store, study.study_id)
    for value in (0.8, 0.9):
        proposal = begin(study, worker_id)
        outcome = Outcome("complete", "=cmd()", value, {"macro_auc": float("nan")})
        finish_trial(study.store, proposal.lease, outcome, proposal.pending)
    remove_worker(study.store, worker_id)
    return study


def begin(opened: OpenStudy, worker_id: str) -> Proposal:
    proposal = next_proposal(opened, worker_id)
    assert proposal is not None
    row = EpochRow(1, 1.0, 0.5, float("nan"), 0.6, 1e-3, 2.0, 50.0)
    proposal.trial.report(0.6, 1)
    record_epoch(opened.store, proposal.lease, row, proposal.pending)
    opened.artifacts.checkpoint(proposal.trial.number, 0).write_bytes(b"x" * 2**20)
    return proposal


def add_plain_study(store_url: str) -> None:
    study = optuna.create_study(storage=store_url, study_name="plain", direction="minimize")
    study.optimize(lambda trial: trial.suggest_float("=1+1", 0, 1) ** 2, n_trials=3)


def test_list_shows_every_study_with_its_state(
    call: Call, opened: OpenStudy, store_url: str
) -> None:
    add_plain_study(store_url)
    code, out, _ = call("study", "list")
    assert code == 0
    scans = next(line for line in out.splitlines() if "scans" in line)
    assert scans.split()[:6] == ["scans", "open", "2", "4", "0.9000", "0"]
    assert scans.rstrip().endswith("2.0 MB")
    documents = json.loads(call("study", "list", "--json")[1])["studies"]
    assert [it["study"] for it in documents] == ["plain", "scans"]
    assert documents[0]["state"] == "plain"
    assert (documents[0]["done"], documents[0]["best"]) == (3, pytest.approx(0, abs=1))
    set_stopped(opened.store, opened.study_id, True)
    assert json.loads(call("study", "list", "--json")[1])["studies"][1]["state"] == "stopped"


@ON_ONE_STORE
def test_show_prints_the_settings(call: Call, opened: OpenStudy) -> None:
    code, out, _ = call("study", "show", "scans")
    assert code == 0
    for words in ("blobs.npz", "kernel_size: 3, 5", "10,000,000 parameters", "3 epochs"):
        assert words in out
    assert "options" not in out
    assert json.loads(call("study", "show", "scans", "--json")[1])["study"] == "scans"


def test_csv_is_flat_and_safe_to_open(call: Call, opened: OpenStudy) -> None:
    code, out, _ = call("study", "export", "scans", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    ended = [row for row in rows if row["ended_as"] == "complete"]
    assert [float(row["value"]) for row in ended] == [0.8, 0.9]
    assert {row["reason"] for row in ended} == {"'=cmd()"}
    assert ended[0]["params_stage1_kernel_size"] in {"3", "5"}
    assert ended[0]["epoch1_val_accuracy"] == "0.6"
    assert ended[0]["family"] == "plain"


@ON_ONE_STORE
def test_json_has_curves_and_no_nan(call: Call, opened: OpenStudy) -> None:
    document = json.loads(
        call("study", "export", "scans", "--format", "json")[1], parse_constant=pytest.fail
    )
    assert document["study"] == "scans"
    first = document["trials"][0]
    assert first["curve"][0]["val_accuracy"] == 0.6
    assert first["curve"][0]["val_loss"] is None
    assert "stage1_kernel_size" in first["params"]


@ON_ONE_STORE
def test_parquet_has_a_row_for_each_trial(call: Call, opened: OpenStudy, tmp_path: Path) -> None:
    target = tmp_path / "trials.parquet"
    assert call("study", "export", "scans", "--format", "parquet", "--out", str(target))[0] == 0
    table = pyarrow.parquet.read_table(target).to_pydict()
    assert table["value"][:2] == [0.8, 0.9]
    assert sorted(path.name for path in tmp_path.glob("*trials.parquet*")) == ["trials.parquet"]


def test_plain_optuna_study_is_exported(call: Call, store_url: str, opened: OpenStudy) -> None:
    add_plain_study(store_url)
    out = call("study", "export", "plain")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 3
    assert float(rows[0]["value"]) == pytest.approx(float(rows[0]["params_=1+1"]) ** 2)


BAD_EXPORTS = {
    "unknown format": (("--format", "xls"), "Expected one of the formats csv, parquet, json"),
    "no file for parquet": (("--format", "parquet"), "name a file with --out"),
    "no folder": (("--out", "none/trials.csv"), "there is no folder none"),
    "a folder": (("--out", "."), "Received a folder"),
}


@ON_ONE_STORE
@pytest.mark.parametrize(("options", "message"), BAD_EXPORTS.values(), ids=BAD_EXPORTS)
def test_export_that_cannot_be_written_is_refused(
    call: Call, opened: OpenStudy, options: tuple[str, ...], message: str
) -> None:
    code, out, err = call("study", "export", "scans", *options)
    assert (code, out) == (2, "")
    assert message in err


@ON_ONE_STORE
@pytest.mark.parametrize(
    "command",
    [("study", "show"), ("study", "export"), ("study", "delete", "--yes"), ("stop",), ("watch",),
     ("status",), ("study", "fork", "new")],
)  # fmt: skip
def test_unknown_study_lists_the_known_ones(
    call: Call, opened: OpenStudy, command: tuple[str, ...]
) -> None:
    *first, last = command
    arguments = (*first, "none", last) if last == "new" else (*command, "none")
    code, _, err = call(*arguments)
    assert code == 2
    assert "There is no study 'none'" in err
    assert "Studies there: scans." in err


def test_deleted_study_leaves_nothing(
    call: Call, opened: OpenStudy, make_study: MakeStudy, store_url: str, cache_folder: Path
) -> None:
    images = Path(next(iter(opened.settings.images.values())).path)
    artifacts = {"url": store_url, "artifacts": opened.settings.artifacts}
    twin = make_study(study={"name": "twin"}, store=artifacts)
    code, out, _ = call("study", "delete", "scans", "--yes")
    assert code == 0
    assert "Study scans is deleted, with 2 files (2.0 MB)." in out
    assert images.exists()  # The other study uses them.
    assert not opened.artifacts.folder.exists()
    with opened.store.read() as connection:
        for table in (studies, leases):
            rows = connection.execute(
                sa.select(table).where(table.c.study_id == opened.study_id)
            ).all()
            assert rows == []
        assert connection.execute(sa.select(epochs)).all() == []
    opened.data.clear()
    twin.data.clear()
    assert call("study", "delete", "twin", "--yes")[1].count("1 set of prepared images") == 1
    assert not images.exists()
    assert optuna.get_all_study_names(opened.store.optuna_storage) == []


@ON_ONE_STORE
def test_delete_asks_and_needs_the_option_yes_without_a_terminal(
    call: Call, opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = call("study", "delete", "scans")
    assert code == 2
    assert "Give --yes" in err
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert call("study", "delete", "scans")[0] == 1
    assert list_studies(opened.store) == ["scans"]


def test_study_with_live_workers_is_deleted_only_with_force(call: Call, opened: OpenStudy) -> None:
    begin(opened, register_worker(opened.store, opened.study_id))
    code, _, err = call("study", "delete", "scans", "--yes")
    assert code == 1
    assert "has 1 living worker." in err
    assert "convsearch stop scans" in err
    assert call("study", "delete", "scans", "--yes", "--force")[0] == 0
    assert list_studies(opened.store) == []


@pytest.mark.parametrize("step", ["pathlib.Path.rmdir", "optuna.delete_study"])
def test_interrupted_deletion_is_completed_by_a_second_one(
    call: Call, opened: OpenStudy, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(step, interrupt)
        assert call("study", "delete", "scans", "--yes")[0] == 130
    assert call("study", "delete", "scans", "--yes")[0] == 0
    assert optuna.get_all_study_names(opened.store.optuna_storage) == []
    assert not opened.artifacts.folder.exists()


@ON_ONE_STORE
def test_stop_without_workers_says_so_and_run_resumes(
    call: Call, opened: OpenStudy, make_study: MakeStudy, store_url: str
) -> None:
    code, out, _ = call("stop", "scans")
    assert code == 0
    assert "Study scans is stopped; no worker is running." in out
    assert load_study(opened.store, "scans").is_stopped
    make_study(
        study={"name": "scans"},
        space={"kernel_size": [3, 5]},
        store={"url": store_url, "artifacts": opened.settings.artifacts},
    )
    assert not load_study(opened.store, "scans").is_stopped


@ON_ONE_STORE
def test_stopped_study_is_resumed_by_its_name(call: Call, opened: OpenStudy) -> None:
    call("stop", "scans")
    assert "`convsearch study resume scans` opens it again" in call("status", "scans")[1]
    code, out, _ = call("study", "resume", "scans")
    assert code == 0
    assert out == "Study scans is open: 2 of 4 trials are done.\nNext: convsearch worker scans\n"
    assert not load_study(opened.store, "scans").is_stopped


@ON_ONE_STORE
def test_budget_of_a_resumed_study_must_leave_something_to_do(
    call: Call, opened: OpenStudy
) -> None:
    call("stop", "scans")
    code, _, err = call("study", "resume", "scans", "--trials", "2")
    assert code == 2
    assert "Expected --trials of more than 2, which are done in scans. Received: 2" in err
    assert load_study(opened.store, "scans").is_stopped
    set_budget(opened.store, opened.study_id, n_trials=2, timeout_s=None)
    code, _, err = call("study", "resume", "scans")
    assert (code, "All 2 trials of scans are done: name more with --trials." in err) == (2, True)
    assert (
        "2 of 9 trials are done (the budget was 2)"
        in call("study", "resume", "scans", "--trials", "9")[1]
    )
    set_budget(opened.store, opened.study_id, n_trials=None, timeout_s=0.0)
    code, _, err = call("study", "resume", "scans")
    assert (code, "The time of scans is over" in err) == (2, True)
    code, _, err = call("study", "resume", "nothing")
    assert (code, "There is no study 'nothing'" in err) == (2, True)


@ON_ONE_STORE
def test_stop_stops_waiting_for_a_worker_that_stays(call: Call, opened: OpenStudy) -> None:
    register_worker(opened.store, opened.study_id)
    code, _, err = call("stop", "scans", "--timeout", "1")
    assert code == 1
    assert "1 of its workers have not stopped within 1 s" in err
    code, out, _ = call("stop", "scans", "--no-wait")
    assert (code, "1 worker will stop" in out) == (0, True)


def at_first_sleep(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Call `do` before the first `time.sleep`."""
    sleep = time.sleep

    def do_and_sleep(seconds: float) -> None:
        monkeypatch.setattr(time, "sleep", sleep)
        do()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", do_and_sleep)


def test_stop_waits_until_workers_have_left(
    call: Call, opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker_id = register_worker(opened.store, opened.study_id)
    at_first_sleep(monkeypatch, lambda: remove_worker(opened.store, worker_id))
    code, out, err = call("stop", "scans")
    assert list_workers(opened.store) == []
    assert code == 0
    assert "Waiting for 1 worker on" in err
    assert "no worker is running" in out


def test_watch_follows_a_study_to_its_end(
    call: Call, opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = TrainerPool(command=(sys.executable, FAKE, "steady"))
    thread = threading.Thread(target=Worker(opened, pool).run)
    at_first_sleep(monkeypatch, thread.start)
    code, out, _ = call("watch", "scans", "--every", "0.2s")
    thread.join()
    assert code == 0
    assert "2 of 4 trials done" in out
    assert out.rstrip().endswith("no worker is running")
    assert "4 of 4 trials done" in out
    assert "plain" in out


@ON_ONE_STORE
@pytest.mark.parametrize("every", ["soon", "0s", "-1s"])
def test_watch_refuses_an_invalid_interval(call: Call, opened: OpenStudy, every: str) -> None:
    code, _, err = call("watch", "scans", "--every", every)
    assert code == 2
    assert "--every" in err


def test_status_recovers_the_trials_of_a_dead_worker(call: Call, opened: OpenStudy) -> None:
    begin(opened, register_worker(opened.store, opened.study_id))
    document = json.loads(call("status", "scans", "--json")[1])
    (worker,) = document["workers"]
    assert (worker["device"], worker["family"], worker["epoch"]) == ("cpu", "plain", 1)
    assert document["counts"]["running"] == 1
    with opened.store.write() as connection:
        connection.execute(workers.update().values(last_seen=0.0))
    document = json.loads(call("status", "scans", "--json")[1])
    assert document["workers"] == []
    assert document["counts"]["running"] == 0
    assert document["counts"]["waiting"] >= 1


@ON_ONE_STORE
def test_status_of_a_read_only_store_is_shown(
    call: Call, opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(opened, register_worker(opened.store, opened.study_id))
    with opened.store.write() as connection:
        connection.execute(workers.update().values(last_seen=0.0))

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("Cannot write to the store.")

    monkeypatch.setattr("storage.Store.open", refuse)
    code, out, err = call("status", "scans")
    assert code == 0
    assert "2 of 4 trials done" in out
    assert "The trials of dead workers could not be recovered: Cannot write" in err


def test_doctor_exits_with_1_while_something_is_wrong(call: Call, opened: OpenStudy) -> None:
    assert call("doctor")[0] == 0
    begin(opened, register_worker(opened.store, opened.study_id))
    with opened.store.write() as connection:
        connection.execute(workers.update().values(last_seen=0.0))
    code, out, _ = call("doctor")
    assert code == 1
    assert "wrong: study scans: Worker" in out
    assert "--fix removes it and releases its trial" in out
    document = json.loads(call("doctor", "--json")[1])
    assert [it["check"] for it in document["findings"]] == ["dead worker", "stuck trial"]
    code, out, _ = call("doctor", "--fix")
    assert code == 0
    assert "fixed: study scans: Worker" in out
    assert "nothing is wrong" in call("doctor")[1]


@ON_ONE_STORE
def test_fork_from_the_command_line(call: Call, opened: OpenStudy) -> None:
    code, out, err = call("study", "fork", "scans", "wide", "--set", "kernel_size=3,4,5")
    assert code == 0, err
    assert "wide: 2 trials of scans copied" in out
    assert "Its budget is 4 of new trials." in out
    code, _, err = call("study", "fork", "scans", "wide", "--set", "kernel_size=3,4,5")
    assert code == 2
    assert "'wide' exists already" in err
    code, _, err = call("study", "fork", "scans", "other", "--set", "kernel_sise=3")
    assert code == 2
    assert "Did you mean `kernel_size`" in err
    assert list_studies(opened.store) == ["scans", "wide"]
