"""Trials copied to another study: as Optuna adds them, with leases and curves, once each."""

import math
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from storage import (
    EpochRow,
    Outcome,
    Store,
    TrialCopy,
    begin_trial,
    copy_trials,
    count_done,
    create_study,
    load_curve,
    load_trials,
    record_epoch,
    register_worker,
)

STARTED = datetime(2026, 3, 4, 5, 6, 7, 891)
COMPLETE = Outcome("complete", value=0.5)
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "width": IntDistribution(8, 128, step=8),
    "choice": CategoricalDistribution(("a", 1, 2.5, None, True)),
    "rate": FloatDistribution(1e-5, 1, log=True),
}


def make_trial(state: TrialState = TrialState.COMPLETE, value: float | None = 0.5) -> FrozenTrial:
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=value,
        datetime_start=STARTED,
        datetime_complete=STARTED + timedelta(minutes=3),
        params={"width": 16, "choice": 2.5, "rate": 0.1},
        distributions=DISTRIBUTIONS,
        user_attrs={"text": "é", "none": None, "config": {"a": [1, 2]}},
        system_attrs={"size": 1.0},
        intermediate_values={1: math.inf, 2: 0.25, 7: math.nan},
    )


TRIALS = (
    make_trial(),
    make_trial(value=-math.inf),
    make_trial(TrialState.PRUNED, None),
    make_trial(TrialState.PRUNED, 0.25),
    make_trial(TrialState.FAIL, None),
)


@pytest.fixture
def study(store: Store) -> optuna.Study:
    return optuna.create_study(
        storage=store.optuna_storage, study_name="new", direction="maximize"
    )


def copies_of(*trials: FrozenTrial) -> list[TrialCopy]:
    return [TrialCopy(trial, COMPLETE, f"config {n}", 999, 1.0) for n, trial in enumerate(trials)]


def test_copies_equal_those_that_optuna_makes_of_a_template(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.studies.trial_copies.BATCH_SIZE", 2)
    reported: list[int] = []
    assert copy_trials(store, study, copies_of(*TRIALS), reported.append) == [0, 1, 2, 3, 4]
    assert reported == [2, 4, 5]
    other = optuna.create_study(storage=store.optuna_storage, study_name="other")
    for trial in TRIALS:
        storage = other._storage
        storage.create_new_trial(other._study_id, template_trial=trial)
    ours = store.optuna_storage.get_all_trials(study._study_id)
    optunas = store.optuna_storage.get_all_trials(other._study_id)
    for copied, expected in zip(ours, optunas, strict=True):
        fields = [dict(vars(it)) for it in (copied, expected)]
        for it in fields:
            del it["_trial_id"]
            # NaN is not equal to itself.
            it["intermediate_values"] = str(it["intermediate_values"])
        assert fields[0] == fields[1]
        assert list(copied.params) == list(expected.params)


def test_copies_have_outcomes_and_curves(store: Store, study: optuna.Study) -> None:
    record, _ = create_study(store, "old", settings="{}")
    lease = begin_trial(store, record.study_id, register_worker(store, record.study_id))
    assert lease is not None
    for number in (1, 2):
        record_epoch(store, lease, EpochRow(number, 1.0, 0.5, 1.0, 0.5, 1e-3, 2.0, 9.0))
    copy = TrialCopy(make_trial(), COMPLETE, "config", lease.trial_id, 1.0)
    copy_trials(store, study, [copy])
    (row,) = load_trials(store, study._study_id)
    assert row.outcome == COMPLETE
    assert load_curve(store, row.trial_id) == load_curve(store, lease.trial_id)
    assert len(load_curve(store, row.trial_id)) == 2
    assert count_done(store, study._study_id) == 1


def test_existing_config_is_not_copied_again(store: Store, study: optuna.Study) -> None:
    copies = copies_of(*TRIALS[:3])
    assert copy_trials(store, study, copies[:2]) == [0, 1]
    assert copy_trials(store, study, [*copies, copies[2]]) == [0, 1, 2, 2]
    assert len(load_trials(store, study._study_id)) == 3


def test_parameter_of_another_kind_is_refused_and_nothing_is_written(
    store: Store, study: optuna.Study
) -> None:
    study.ask().suggest_float("width", 0.0, 1.0)
    with pytest.raises(ValueError, match="distribution"):
        copy_trials(store, study, copies_of(TRIALS[0]))
    assert len(load_trials(store, study._study_id)) == 1
