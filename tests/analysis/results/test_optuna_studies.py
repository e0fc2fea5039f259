"""Plain Optuna studies are ranked and shown without being changed."""

import hashlib
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from analysis import load_status, rank
from storage import Store, StoreError, StudyNotFoundError, create_study
from storage.database.engine import make_engine
from storage.database.url import parse_url


def fill(study: optuna.Study) -> optuna.Study:
    """Add six trials: three complete, one pruned, one failed, one running."""
    for number, value in enumerate((0.3, 0.1, 0.2)):
        trial = study.ask()
        trial.suggest_int("n", number, 9)
        trial.set_user_attr("config", "not one of ours")
        study.tell(trial, value)
    trial = study.ask()
    trial.report(0.5, 1)
    study.tell(trial, state=TrialState.PRUNED)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.ask()
    return study


def make_plain(url: str) -> None:
    storage = RDBStorage(parse_url(url).render_as_string(hide_password=False))
    for direction in ("minimize", "maximize"):
        fill(optuna.create_study(storage=storage, study_name=direction, direction=direction))
    storage.remove_session()
    storage.engine.dispose()


def content(url: str) -> object:
    """Return what must not change: the bytes of a file, or the tables of a server."""
    path = Store.file_of(url)
    if path is not None:
        files = sorted(file.name for file in path.parent.iterdir())
        return files, hashlib.sha256(path.read_bytes()).hexdigest()
    with make_engine(parse_url(url)).connect() as connection:
        return sorted(sa.inspect(connection).get_table_names())


def test_infeasible_trial_is_not_ranked(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="bounded")
    for value, broken in ((0.1, 1.0), (0.3, -1.0), (0.2, 0.0)):
        trial = study.ask()
        trial.set_constraint("size", broken)
        study.tell(trial, value)
    ranking = rank(store, "bounded")
    assert [(it.rank, it.trial, it.state) for it in ranking.trials] == [
        (1, 2, "COMPLETE"), (2, 1, "COMPLETE"), (None, 0, "INFEASIBLE")
    ]  # fmt: skip
    assert "constraint" in ranking.trials[-1].reason
    assert [it["trial"] for it in ranking.to_json()["trials"]] == [2, 1, 0]
    running = study.ask()
    running.set_constraint("size", 1.0)
    assert rank(store, "bounded").trials[-1].state == "RUNNING"
    best = load_status(store, "bounded").best
    assert best is not None
    assert best.number == 2


@pytest.mark.parametrize(
    ("direction", "order"), [("minimize", [1, 2, 0, 3]), ("maximize", [0, 2, 1, 3])]
)
def test_plain_study_is_ranked_by_its_direction_and_not_changed(
    empty_url: str, direction: str, order: list[int]
) -> None:
    make_plain(empty_url)
    before = content(empty_url)
    ranking = rank(empty_url, direction)
    status = load_status(empty_url, direction)
    assert content(empty_url) == before
    assert [trial.trial for trial in ranking.trials if trial.rank] == order
    assert ranking.trials[0].val_accuracy == {"minimize": 0.1, "maximize": 0.3}[direction]
    assert ranking.to_json()["direction"] == direction
    assert status.best is not None
    assert status.best.number == order[0]
    assert {name: n for name, n in status.counts.items() if n} == {
        "complete": 3,
        "pruned": 1,
        "fail": 1,
        "running": 1,
    }
    assert status.workers == ()


def test_plain_study_beside_ours_is_ranked(store: Store) -> None:
    create_study(store, "ours", settings="{}", n_trials=3)
    fill(optuna.create_study(storage=store.optuna_storage, study_name="plain"))
    assert rank(store, "plain").trials[0].val_accuracy == 0.1
    with pytest.raises(StudyNotFoundError, match="Studies there: ours, plain"):
        rank(store, "none")


def test_study_of_two_objectives_is_refused(store: Store) -> None:
    optuna.create_study(
        storage=store.optuna_storage, study_name="two", directions=["minimize"] * 2
    )
    with pytest.raises(StudyNotFoundError, match="Expected a study of one objective"):
        rank(store, "two")


def test_worker_does_not_join_a_plain_study(empty_url: str) -> None:
    from search.studies.open_study import OpenStudy

    make_plain(empty_url)
    plain = Store.open(empty_url, create=False)
    with pytest.raises(StudyNotFoundError, match="no study 'minimize'"):
        OpenStudy.load(plain, "minimize")


def test_empty_file_holds_no_study(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match="There is no study in"):
        rank(f"sqlite:///{tmp_path / 'empty.db'}", "any")
    assert (tmp_path / "empty.db").read_bytes() == b""


def test_status_read_again_sees_what_changed(store: Store) -> None:
    from analysis import follow_status

    create_study(store, "ours", settings="{}", n_trials=3)
    study = optuna.load_study(storage=store.optuna_storage, study_name="ours")
    read = follow_status(store, "ours")
    assert read().trials == ()
    first, second = study.ask(), study.ask()
    assert [row.state for row in read().trials] == ["RUNNING", "RUNNING"]
    study.tell(second, 0.7)
    assert [row.value for row in read().trials] == [None, 0.7]
    study.tell(first, 0.9)
    third = study.ask()
    rows = read().trials
    assert [row.number for row in rows] == [0, 1, third.number]
    assert [row.value for row in rows] == [0.9, 0.7, None]
    assert list(rows) == list(follow_status(store, "ours")().trials)
