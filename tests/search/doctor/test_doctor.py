"""The doctor: each problem is found without a write, and `--fix` repairs it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from analysis import load_status
from search.doctor import DoctorReport, run_checks
from search.studies.open_study import OpenStudy
from search.workers.proposals import Proposal, next_proposal
from storage import (
    Outcome,
    Store,
    StoreError,
    WorkerRow,
    count_done,
    finish_trial,
    list_workers,
    load_trials,
    register_worker,
    remove_worker,
)
from storage.coordination.leases import record_outcome
from storage.tables import leases, versions, workers

MakeStudy = Callable[..., OpenStudy]

ON_ONE_STORE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def opened(make_study: MakeStudy, store_url: str, tmp_path: Path) -> OpenStudy:
    """A healthy study on each kind of store."""
    store = {"url": store_url, "artifacts": str(tmp_path / "artifacts")}
    return make_study(budget={"trials": 4}, space={"kernel_size": [3, 5]}, store=store)


def url_of(opened: OpenStudy) -> str:
    return opened.store.url.render_as_string(hide_password=False)


def look(opened: OpenStudy, *, fix: bool = False) -> DoctorReport:
    return run_checks(url_of(opened), fix=fix)


def checks(report: DoctorReport) -> list[str]:
    return [finding.check for finding in report.left if finding.is_wrong]


def begin(opened: OpenStudy) -> Proposal:
    proposal = next_proposal(opened, register_worker(opened.store, opened.study_id))
    assert proposal is not None
    return proposal


def make_silent(opened: OpenStudy, seconds: float = 100.0) -> None:
    """Set back the last heartbeat of all workers by `seconds`."""
    with opened.store.write() as connection:
        connection.execute(workers.update().values(last_seen=workers.c.last_seen - seconds))


def states(opened: OpenStudy) -> dict[str, int]:
    return {k: n for k, n in load_status(opened.store, opened.name).counts.items() if n}


def test_intact_store_is_healthy(opened: OpenStudy) -> None:
    begin(opened)  # By a live worker.
    assert checks(look(opened)) == []
    assert look(opened).is_healthy


def test_dead_worker_and_its_trial_are_found_and_repaired(opened: OpenStudy) -> None:
    begin(opened)
    make_silent(opened)
    assert checks(look(opened)) == ["dead worker", "stuck trial"]
    assert states(opened)["running"] == 1  # Nothing was written.
    report = look(opened, fix=True)
    assert [finding.check for finding in report.fixed] == ["dead worker", "stuck trial"]
    assert checks(report) == []
    assert "running" not in states(opened)


def test_worker_that_joins_during_the_check_is_no_problem(
    opened: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[list[WorkerRow]] = [[]]  # The worker joins after the first listing.
    monkeypatch.setattr(
        "storage.inspection.inconsistencies.list_workers",
        lambda store: looks.pop() if looks else list_workers(store),
    )
    begin(opened)
    assert checks(look(opened)) == []
    assert looks == []


def test_running_trial_without_a_lease_is_ended(opened: OpenStudy) -> None:
    trial = opened.study.ask()
    trial_id = trial._trial_id
    with opened.store.write() as connection:
        connection.execute(
            sa.text("UPDATE trials SET datetime_start = '2026-01-01' WHERE trial_id = :id"),
            {"id": trial_id},
        )
    fresh = run_checks(url_of(opened))
    assert checks(fresh) == ["stuck trial"]
    assert look(opened, fix=True).is_healthy
    assert "running" not in states(opened)


def test_released_trial_that_is_still_running_waits_again(opened: OpenStudy) -> None:
    proposal = begin(opened)
    with opened.store.write() as connection:
        connection.execute(
            leases.update()
            .where(leases.c.lease_id == proposal.lease.lease_id)
            .values(worker_id=None)
        )
    assert checks(look(opened)) == ["stuck trial"]
    assert look(opened, fix=True).is_healthy
    assert "running" not in states(opened)


def test_outcome_missing_in_optuna_is_written(opened: OpenStudy) -> None:
    proposal = begin(opened)
    record_outcome(opened.store, proposal.lease, Outcome("complete", value=0.75))
    remove_worker(opened.store, proposal.lease.worker_id)
    assert checks(look(opened)) == ["untold outcome"]
    assert look(opened, fix=True).is_healthy
    assert opened.study.best_value == 0.75


def test_claim_without_a_worker_is_removed(opened: OpenStudy) -> None:
    with opened.store.write() as connection:  # As older versions did.
        connection.execute(leases.insert().values(study_id=opened.study_id, worker_id="nobody"))
    assert checks(look(opened)) == ["claim"]
    assert look(opened, fix=True).is_healthy
    with opened.store.read() as connection:
        assert connection.execute(sa.select(leases)).all() == []


def test_trial_that_another_program_ended_is_recorded(opened: OpenStudy) -> None:
    proposal = begin(opened)
    opened.study.tell(proposal.trial.number, 0.5)
    remove_worker(opened.store, proposal.lease.worker_id)
    assert checks(look(opened)) == ["closed trial"]
    assert look(opened, fix=True).is_healthy
    assert count_done(opened.store, opened.study_id) == 1
    (row,) = [it for it in load_trials(opened.store, opened.study_id) if it.outcome is not None]
    assert row.outcome is not None
    assert (row.outcome.kind, row.outcome.value) == ("complete", 0.5)


def test_outcome_of_a_trial_that_is_open_only_in_optuna_is_written_again(
    opened: OpenStudy,
) -> None:
    proposal = begin(opened)
    outcome = Outcome("complete", value=0.5)
    record_outcome(opened.store, proposal.lease, outcome)
    with opened.store.write() as connection:
        connection.execute(leases.update().values(told=True))
    remove_worker(opened.store, proposal.lease.worker_id)
    assert checks(look(opened)) == ["open trial"]
    assert look(opened, fix=True).is_healthy
    assert states(opened)["complete"] == 1


def test_rows_of_a_study_that_optuna_deleted_are_deleted(opened: OpenStudy) -> None:
    begin(opened)
    optuna.delete_study(study_name="small", storage=opened.store.optuna_storage)
    report = look(opened)
    assert "strays" in checks(report)
    assert look(opened, fix=True).is_healthy
    again = optuna.create_study(storage=opened.store.optuna_storage, study_name="small")
    with opened.store.read() as connection:
        assert connection.execute(sa.select(leases)).all() == []
    assert again.trials == []


@ON_ONE_STORE
def test_checkpoints_that_no_trial_needs_are_deleted(opened: OpenStudy) -> None:
    orphan, other = (opened.artifacts.checkpoint(number, 0) for number in (77, 78))
    stranger = opened.artifacts.folder.with_name("gone") / "trial-1.0.safetensors"
    stranger.parent.mkdir()
    for path in (orphan, other, stranger):
        path.write_bytes(b"x" * 1000)
    report = look(opened)
    assert checks(report) == ["checkpoints"]
    assert "2 files" in next(it.what for it in report.left if it.is_wrong)
    assert [it.where for it in report.left if not it.is_wrong][:1] == [str(stranger.parent)]
    report = look(opened, fix=True)
    assert report.is_healthy
    assert not orphan.exists()
    assert not other.exists()
    assert stranger.exists()  # It may belong to another store.


@ON_ONE_STORE
def test_skewed_clock_is_reported_and_no_problem(opened: OpenStudy) -> None:
    begin(opened)
    with opened.store.write() as connection:
        connection.execute(workers.update().values(clock_ahead_s=-61.4))
    report = look(opened)
    assert report.is_healthy
    (finding,) = [it for it in report.left if it.check == "clock"]
    assert "61 s behind" in finding.what


def test_clock_is_compared_with_the_stores_when_a_worker_registers(opened: OpenStudy) -> None:
    begin(opened)
    with opened.store.read() as connection:
        ahead_s = connection.execute(sa.select(workers.c.clock_ahead_s)).scalar_one()
    assert 0 < abs(ahead_s) + 1e-9 < 2


def test_older_tables_are_brought_up_to_date(opened: OpenStudy) -> None:
    with opened.store.write() as connection:
        connection.execute(versions.update().values(schema_version=2))
        for table, column in (
            ("studies", "priority"), ("studies", "is_stopped"),
            ("workers", "device"), ("workers", "clock_ahead_s"), ("workers", "activity"),
        ):  # fmt: skip
            connection.execute(sa.text(f"ALTER TABLE convsearch_{table} DROP COLUMN {column}"))
    report = look(opened)
    assert checks(report) == ["schema"]
    assert "--fix brings them up to date" in report.left[0].remedy
    assert look(opened, fix=True).is_healthy


@ON_ONE_STORE
def test_newer_tables_are_not_changed(opened: OpenStudy) -> None:
    with opened.store.write() as connection:
        connection.execute(versions.update().values(schema_version=99))
    report = look(opened, fix=True)
    assert checks(report) == ["schema"]
    assert "Install the newer convsearch" in report.left[0].remedy


def test_plain_optuna_store_is_healthy_and_gets_no_tables(empty_url: str) -> None:
    optuna.create_study(storage=empty_url, study_name="plain")
    assert run_checks(empty_url).is_healthy
    with Store.inspect(empty_url).read() as connection:
        assert "convsearch_studies" not in sa.inspect(connection).get_table_names()


def test_checks_do_not_change_the_file(make_study: MakeStudy) -> None:
    opened = make_study()
    begin(opened)
    make_silent(opened)
    opened.store.close()
    path = Store.file_of(url_of(opened))
    assert path is not None
    before = path.read_bytes()
    assert not look(opened).is_healthy
    assert path.read_bytes() == before


def test_damaged_file_is_found_with_advice_how_to_recover_it(make_study: MakeStudy) -> None:
    opened = make_study()
    opened.store.close()
    path = Store.file_of(url_of(opened))
    assert path is not None
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096, 2):
        content[page * 4096 : page * 4096 + 600] = b"\xff" * 600
    path.write_bytes(content)
    report = look(opened, fix=True)
    assert checks(report) == ["integrity"]
    assert ".recover | sqlite3" in report.left[0].remedy
    path.write_bytes(b"nothing like it" * 100)
    assert "file is not a database" in look(opened).left[0].what


def test_missing_file_is_damage_only_if_its_log_exists(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    with pytest.raises(StoreError, match="There is no store"):
        run_checks(f"sqlite:///{path}")
    path.with_name("gone.db-wal").write_bytes(b"x")
    report = run_checks(f"sqlite:///{path}")
    assert checks(report) == ["integrity"]
    assert not path.exists()


def test_large_write_ahead_log_is_emptied(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = make_study()
    path = Store.file_of(url_of(opened))
    assert path is not None
    reader = sqlite3.connect(path)  # Prevents SQLite from emptying the log.
    opened.store.close()
    monkeypatch.setattr("search.doctor.database.LARGE_WAL_BYTES", 10)
    with opened.store.write() as connection:
        connection.execute(workers.delete())
    report = look(opened)
    assert [it.check for it in report.left if it.check == "log"] == ["log"]
    assert [it.check for it in look(opened, fix=True).fixed] == ["log"]
    reader.close()


@ON_ONE_STORE
def test_low_disk_space_is_reported(opened: OpenStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    usage: Any = type("Usage", (), {"free": 50 * 2**20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    report = look(opened)
    assert set(checks(report)) == {"room"}
    assert "50 MB of disk space are free" in report.left[0].what


@ON_ONE_STORE
def test_released_trial_can_be_taken_after_a_repair(opened: OpenStudy) -> None:
    """A trial that `--fix` releases can be taken by a worker."""
    first = begin(opened)
    make_silent(opened)
    assert look(opened, fix=True).is_healthy
    again = begin(opened)
    assert again.trial.number == first.trial.number
    assert opened.study.get_trials()[first.trial.number].state == TrialState.RUNNING


def test_lost_weights_of_a_good_trial_are_reported(make_study: MakeStudy) -> None:
    opened = make_study()
    proposal = begin(opened)
    opened.artifacts.checkpoint(proposal.trial.number, 0).write_bytes(b"weights")
    finish_trial(opened.store, proposal.lease, Outcome("complete", value=0.8), proposal.pending)
    assert look(opened).left == ()
    opened.artifacts.checkpoint(proposal.trial.number, 0).unlink()
    (finding,) = look(opened).left
    assert (finding.check, finding.is_wrong) == ("weights", False)
    assert "convsearch reproduce small 0" in finding.remedy
