"""A watched study: equal to the store's content, while only possible changes are read."""

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from storage import Store, StudyWatch, load_trials
from storage.optuna_schema.tables import user_attributes


@pytest.fixture
def study(store: Store) -> optuna.Study:
    """A study with a complete trial and a running one."""
    study = optuna.create_study(storage=store.optuna_storage, study_name="watched")
    trial = study.ask()
    trial.suggest_int("width", 8, 64, step=8)
    trial.set_user_attr("config", {"family": "plain"})
    trial.report(0.25, 1)
    study.tell(trial, 0.5)
    study.ask().suggest_float("rate", 1e-5, 1, log=True)
    return study


def test_trials_of_the_watch_equal_those_read_separately(
    store: Store, study: optuna.Study
) -> None:
    found = StudyWatch(store, study._study_id).read()
    assert [it.frozen for it in found] == study.get_trials()
    for ours, row in zip(found, load_trials(store, study._study_id), strict=True):
        for name in ("number", "trial_id", "state", "value", "params", "attributes", "outcome"):
            assert getattr(ours.row, name) == getattr(row, name)


def test_version_increases_only_with_a_change(store: Store, study: optuna.Study) -> None:
    watch = StudyWatch(store, study._study_id)
    running = optuna.Trial(study, study.get_trials()[1]._trial_id)

    def changes() -> bool:
        before, again = watch.version, watch.read()
        assert [it.frozen for it in again] == study.get_trials()
        return watch.version > before

    assert changes()
    assert not changes()
    running.report(0.5, 1)
    assert changes()
    study.enqueue_trial({"width": 8})
    assert changes()
    study.tell(running, 0.75)
    assert changes()
    assert not changes()


def test_nan_is_not_seen_as_a_change(store: Store, study: optuna.Study) -> None:
    optuna.Trial(study, study.get_trials()[1]._trial_id).report(float("nan"), 1)
    watch = StudyWatch(store, study._study_id)
    watch.read()
    before = watch.version
    watch.read()
    assert watch.version == before


def test_study_recreated_with_the_same_ids_is_read_again(store: Store) -> None:
    storage = store.optuna_storage

    def make(*values: float) -> StudyWatch:
        study = optuna.create_study(storage=storage, study_name="again")
        for value in values:
            study.tell(study.ask(), value)
        return StudyWatch(store, study._study_id)

    watch = make(1.0, 2.0)
    assert len(watch.read()) == 2
    storage.delete_study(watch.study_id)
    for values in ((), (3.0,), (3.0, 4.0)):
        again = make(*values)
        watch.study_id = again.study_id  # PostgreSQL gives a new id.
        before = watch.version
        assert [it.row.value for it in watch.read()] == [*values]
        assert watch.version > before or not values
        storage.delete_study(again.study_id)


def test_study_recreated_before_any_trial_ended_is_read_completely(
    store: Store,
) -> None:
    storage = store.optuna_storage
    first = optuna.create_study(storage=storage, study_name="again")
    for _ in range(5):
        first.enqueue_trial({})
    watch = StudyWatch(store, first._study_id)
    assert len(watch.read()) == 5
    storage.delete_study(first._study_id)
    second = optuna.create_study(storage=storage, study_name="again")
    watch.study_id = second._study_id  # PostgreSQL gives a new id.
    for number in range(3):
        second.tell(second.ask(), 1.0)
        assert len(watch.read()) == number + 1


def test_trial_that_has_ended_is_read_once(store: Store, study: optuna.Study) -> None:
    watch = StudyWatch(store, study._study_id)
    first = watch.read()[0]
    with store.write() as connection:
        connection.execute(sa.update(user_attributes).values(value_json='"changed"'))
    study.ask()
    assert len(watch.read()) == 3
    assert watch.read()[0] is first


def test_study_of_many_trials_is_read_like_a_small_one(store: Store, study: optuna.Study) -> None:
    done = optuna.trial.create_trial(value=1.0)
    study.add_trials([done] * 20)
    watch = StudyWatch(store, study._study_id)
    assert len(watch.read()) == 22
    study.add_trials([done] * 3)
    states = [it.frozen.state for it in watch.read()]
    assert len(states) == 25
    assert states.count(TrialState.RUNNING) == 1
