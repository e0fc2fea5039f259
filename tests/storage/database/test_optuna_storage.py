"""Trials read by plain SQL equal those that Optuna's own storage reads."""

import math
from contextlib import closing
from datetime import datetime

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from storage import Store, StoreVersionError
from storage.database.optuna_storage import PooledRDBStorage

DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "rate": optuna.distributions.FloatDistribution(1e-5, 1, log=True),
    "width": optuna.distributions.IntDistribution(8, 128, step=8),
    "choice": optuna.distributions.CategoricalDistribution(("a", 1, 2.5, None, True)),
}


@pytest.fixture
def study(store: Store) -> optuna.Study:
    """A study with a trial of each state, and one with every unusual value."""
    study = optuna.create_study(storage=store.optuna_storage, study_name="all kinds")
    study.enqueue_trial({"rate": 0.5})
    study.ask().suggest_float("rate", 1e-5, 1, log=True)
    study.enqueue_trial({"width": 16}, user_attrs={"note": {"deep": [1, None]}})
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        params = {"rate": 0.1, "width": 16, "choice": 2.5}
        study.add_trial(
            create_trial(
                state=state,
                value=None if state == TrialState.FAIL else -math.inf,
                params=params,
                distributions=DISTRIBUTIONS,
                user_attrs={"text": "é", "none": None},
                system_attrs={"size": 1.0},
                intermediate_values={1: math.inf, 2: -math.inf, 7: 0.25},
            )
        )
    several = optuna.create_study(
        storage=store.optuna_storage, study_name="two values", directions=["minimize"] * 2
    )
    several.add_trial(create_trial(values=[1.0, 2.0]))
    return study


def pair(store: Store) -> tuple[PooledRDBStorage, RDBStorage]:
    """Our storage, and Optuna's own methods on the same tables."""
    url = store.url.render_as_string(hide_password=False)
    return store.optuna_storage, RDBStorage(url)


def test_trials_equal_those_of_optuna(store: Store, study: optuna.Study) -> None:
    ours, optunas = pair(store)
    ids = [study._study_id, study._study_id + 1]
    assert [len(ours.get_all_trials(study_id)) for study_id in ids] == [5, 1]
    for study_id in ids:
        assert ours.get_all_trials(study_id) == optunas.get_all_trials(study_id)
    for trial in study.trials:
        assert ours.get_trial(trial._trial_id) == optunas.get_trial(trial._trial_id)


def test_studies_equal_those_of_optuna(store: Store, study: optuna.Study) -> None:
    study.set_user_attr("asked by", {"deep": [None, "é"]})
    ours, optunas = pair(store)
    ours.set_study_system_attr(study._study_id, "odd", [1.5])
    assert len(ours.get_all_studies()) == 2
    assert ours.get_all_studies() == optunas.get_all_studies()


@pytest.mark.parametrize("states", [(TrialState.WAITING,), (TrialState.PRUNED, TrialState.FAIL)])
@pytest.mark.parametrize(("n_listed", "after"), [(0, -1), (0, 2), (2, 3), (4, 0)])
def test_any_part_of_the_trials_equals_optunas(
    store: Store,
    study: optuna.Study,
    states: tuple[TrialState, ...],
    n_listed: int,
    after: int,
) -> None:
    ours, optunas = pair(store)
    ids = [trial._trial_id for trial in study.trials]
    first = -1 if after < 0 else ids[after]
    for chosen in (states, None):
        part = (study._study_id, chosen, set(ids[:n_listed]), first)
        assert ours._get_trials(*part) == optunas._get_trials(*part)


def test_many_trials_are_read_completely(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.optuna_schema.trial_reader.MAX_IDS_PER_QUERY", 2)
    test_trials_equal_those_of_optuna(store, study)
    test_any_part_of_the_trials_equals_optunas(store, study, (TrialState.FAIL,), 4, 0)


def test_nan_is_read_as_reported(store: Store, study: optuna.Study) -> None:
    trial = study.ask()
    trial.report(math.nan, 1)
    read = store.optuna_storage.get_trial(trial._trial_id)
    assert math.isnan(read.intermediate_values[1])


def test_times_are_local(store: Store, study: optuna.Study) -> None:
    started = store.optuna_storage.get_trial(study.ask()._trial_id).datetime_start
    assert started is not None
    assert abs((datetime.now() - started).total_seconds()) < 60


def test_missing_records_are_key_errors(store: Store) -> None:
    with pytest.raises(KeyError, match="no trial with the id 999"):
        store.optuna_storage.get_trial(999)
    with pytest.raises(KeyError, match="no study with the id 999"):
        store.optuna_storage.get_all_trials(999)


def test_store_of_another_optuna_is_refused(store_url: str) -> None:
    with closing(Store.open(store_url)) as store, store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'v9.9.9'")
    with pytest.raises(StoreVersionError, match="no longer compatible"):
        Store.open(store_url, create=False)


def test_plain_store_of_another_optuna_is_refused_when_optuna_reads_it(empty_url: str) -> None:
    optuna.create_study(storage=empty_url)
    with sa.create_engine(empty_url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'v9.9.9'")
    with closing(Store.open(empty_url, create=False)) as store:
        engine = store.engine
        for _ in range(2):
            with pytest.raises(StoreVersionError, match="no longer compatible"):
                store.optuna_storage.get_study_name_from_id(1)
            assert store.engine is engine


def test_reopened_store_is_a_complete_storage(store: Store, study: optuna.Study) -> None:
    url = store.url.render_as_string(hide_password=False)
    with closing(Store.open(url, create=False)) as again:
        assert optuna.load_study(study_name="all kinds", storage=again.optuna_storage).ask()


def test_study_with_the_id_of_a_deleted_one_has_parameters_of_its_own(
    store: Store, study: optuna.Study
) -> None:
    study_id, storage = study._study_id, store.optuna_storage
    storage.check_distribution(study_id, "rate", DISTRIBUTIONS["rate"])
    optuna.delete_study(study_name="all kinds", storage=storage)
    with pytest.raises(ValueError, match="kind"):
        storage.check_distribution(study_id, "rate", DISTRIBUTIONS["width"])
    storage.forget_study(study_id)
    storage.check_distribution(study_id, "rate", DISTRIBUTIONS["width"])
