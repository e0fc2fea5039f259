"""The ranking and the status of a study, on every kind of store."""

import json

import pytest

from analysis import RankedTrial, Ranking, load_status, rank
from analysis.errors import MetricError
from storage import (
    EpochRow,
    Outcome,
    Store,
    begin_trial,
    create_study,
    finish_trial,
    load_optuna_study,
    open_trial,
    record_epoch,
    register_worker,
)

ENDINGS: list["Ending"] = [
    (Outcome("pruned"), [0.9, 0.95], 10),
    (Outcome("complete", value=0.8), [0.7, 0.8], 500),
    (Outcome("complete", value=0.85), [0.85, 0.85], 900),
    (Outcome("complete", value=0.8), [0.8, 0.7], 100),
    (Outcome("unfit", "NaN"), [0.2], 50),
    (Outcome("rejected", "too large"), [], 10**9),
    (Outcome("repeat", "again"), [], 100),
    (Outcome("fail", "broken"), [], 100),
    (None, [0.4], 70),
]


Ending = tuple[Outcome | None, list[float], int]


@pytest.fixture
def study(store: Store) -> Store:
    fill(store, ENDINGS)
    return store


def fill(store: Store, endings: list[Ending]) -> None:
    record, _ = create_study(store, "study", settings="{}", n_trials=20)
    optuna_study = load_optuna_study(store, "study")
    worker_id = register_worker(store, record.study_id)
    for outcome, curve, parameters in endings:
        lease = begin_trial(store, record.study_id, worker_id)
        assert lease is not None
        trial, pending = open_trial(store, optuna_study, lease.trial_id)
        trial.suggest_float("x", 0, 1)
        family = "plain" if trial.number < 3 else "vgg"
        trial.set_user_attr("config", {"family": family})
        trial.set_user_attr("parameters", parameters)
        best = 0.0
        for epoch, accuracy in enumerate(curve, start=1):
            best = max(best, accuracy)
            trial.report(best, epoch)
            row = EpochRow(epoch, 1, 0.5, 1, accuracy, 1e-3, 2.0, 500)
            record_epoch(store, lease, row, pending)
        if outcome is not None:
            finish_trial(store, lease, outcome, pending)


def test_complete_trials_come_first_and_smaller_networks_win_ties(study: Store) -> None:
    ranking = rank(study, "study")
    assert [trial.trial for trial in ranking.trials] == [2, 3, 1, 0, 4, 5, 6, 7, 8]
    assert [trial.rank for trial in ranking.trials][:5] == [1, 2, 3, 4, None]
    assert [trial.trial for trial in ranking.complete] == [2, 3, 1]


def test_json_lists_the_trials_that_count(study: Store) -> None:
    document = rank(study, "study").to_json()
    assert (document["study"], document["direction"]) == ("study", "maximize")
    assert document["metric"] == "val_accuracy"
    assert [trial["trial"] for trial in document["trials"]] == [2, 3, 1, 0, 4]
    best = document["trials"][0]
    assert {
        key: best[key]
        for key in ("rank", "family", "state", "val_accuracy", "best_epoch", "epochs", "seconds")
    } == {
        "rank": 1,
        "family": "plain",
        "state": "COMPLETE",
        "val_accuracy": 0.85,
        "best_epoch": 1,
        "epochs": 2,
        "seconds": 4.0,
    }
    assert best["parameters"] == 900
    assert set(best["params"]) == {"x"}


def test_brief_ranking_is_the_same_but_for_the_parameters(study: Store) -> None:
    full, short = rank(study, "study"), rank(study, "study", is_brief=True)
    assert [trial.rank for trial in short.trials] == [trial.rank for trial in full.trials]
    assert [dict(trial.config) for trial in short.trials] == [
        dict(trial.config) for trial in full.trials
    ]
    for one, other in zip(full.to_json()["trials"], short.to_json()["trials"], strict=True):
        assert one["params"]
        assert one | {"params": {}} == other
    json.dumps([trial.config for trial in full.trials])  # Plain dictionaries.


def test_pruned_trial_keeps_its_best_value(study: Store) -> None:
    pruned = next(trial for trial in rank(study, "study").trials if trial.trial == 0)
    assert (pruned.state, pruned.val_accuracy, pruned.best_epoch) == ("PRUNED", 0.95, 2)


def test_status_counts_each_ending(study: Store) -> None:
    status = load_status(study, "study")
    assert status.counts == {
        "complete": 3,
        "pruned": 1,
        "unfit": 1,
        "rejected": 2,
        "fail": 1,
        "running": 1,
        "waiting": 0,
    }
    document = status.to_json()
    assert document["budget"]["trials"] == 20
    assert document["budget"]["done"] == 5
    assert document["best"] == {"trial": 2, "val_accuracy": 0.85}
    (worker,) = document["workers"]
    assert set(worker) == {
        "id", "host", "pid", "trial", "last_seen", "device", "family", "epoch",
    }  # fmt: skip
    assert worker["trial"] == 8


def test_families_are_summed_up_with_the_best_first(study: Store) -> None:
    ranking = rank(study, "study")
    assert ranking.families == load_status(study, "study").families
    assert ranking.to_json()["families"] == load_status(study, "study").to_json()["families"]
    plain, vgg = ranking.to_json()["families"]
    assert plain == {
        "family": "plain",
        "trial": 2,
        "val_accuracy": 0.85,
        "trials": 3,
        "complete": 2,
        "pruned": 1,
        "parameters": 900,
        "seconds": 12.0,
        "epoch_seconds": 2.0,
    }
    assert (vgg["trial"], vgg["trials"], vgg["complete"], vgg["pruned"]) == (3, 2, 1, 0)
    assert vgg["seconds"] == 8.0


def test_best_of_a_study_is_the_first_of_its_ranking(study: Store) -> None:
    best = load_status(study, "study").best
    assert best is not None
    assert best.number == rank(study, "study").trials[0].trial


def trial(number: int, value: float, parameters: int | None, seconds: float) -> RankedTrial:
    metrics = {"balanced_accuracy": 1 - value, "macro_auc": value}
    return RankedTrial(
        number + 1,
        number,
        "plain",
        "COMPLETE",
        value,
        1,
        1,
        seconds,
        parameters,
        {},
        "",
        metrics,
        {},
    )


RANKING = Ranking(
    "study",
    (
        trial(0, 0.90, 500, 50.0),
        trial(1, 0.895, 600, 60.0),
        trial(2, 0.89, 500, 40.0),
        trial(3, 0.89, 100, 90.0),
        trial(4, 0.889, 50, 5.0),
        trial(5, 0.7, 60, 4.0),
        trial(6, 0.6, None, 3.0),
    ),
)


def test_equally_good_trials_are_near_the_best_and_smaller_or_faster() -> None:
    assert [it.trial for it in RANKING.within(0.01)] == [0, 2, 3]
    assert [it.trial for it in RANKING.within(0.0)] == [0]
    assert Ranking("empty", ()).within(0.5) == ()


def test_front_has_no_dominated_trial() -> None:
    assert [it.trial for it in RANKING.front("parameters")] == [0, 3, 4]
    assert [it.trial for it in RANKING.front("seconds")] == [0, 2, 4, 5, 6]
    assert RANKING.fronts_to_json() == {"parameters": [0, 3, 4], "seconds": [0, 2, 4, 5, 6]}


@pytest.mark.parametrize(
    ("metric", "order"),
    [("val_accuracy", [2, 3, 1, 0]), ("balanced_accuracy", [3, 2]), ("auc", [1, 2])],
)
def test_trials_are_ranked_by_another_measure(store: Store, metric: str, order: list[int]) -> None:
    endings: list[Ending] = [
        ENDINGS[0],
        (Outcome("complete", value=0.8, metrics={"macro_auc": 0.95}), [0.8], 500),
        (
            Outcome("complete", value=0.85, metrics={"balanced_accuracy": 0.6, "macro_auc": 0.7}),
            [0.85],
            900,
        ),
        (Outcome("complete", value=0.8, metrics={"balanced_accuracy": 0.7}), [0.8], 100),
    ]
    fill(store, endings)
    ranking = rank(store, "study", metric=metric)
    assert [it.trial for it in ranking.trials if it.rank is not None] == order
    assert ranking.to_json()["metric"] == metric


def test_unknown_measure_is_refused(study: Store) -> None:
    with pytest.raises(MetricError, match="expected val_accuracy, balanced_accuracy, auc"):
        rank(study, "study", metric="accuracy")
