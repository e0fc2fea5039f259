import runpy
from itertools import accumulate
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.strategy.family_quota import MAX_EPOCHS
from search.strategy.pruner import (
    PRUNERS,
    make_pruner,
    plateau_epochs,
    warm_up_epochs,
)
from search.strategy.sampler import N_STARTUP_TRIALS, SAMPLERS, make_sampler

REPLAY = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "replay_pruners.py"))
needs_curves = pytest.mark.skipif(
    not REPLAY["CURVES"].exists(), reason="the recorded curves are not beside the repository"
)
GOOD = [0.5, 0.6, 0.7, 0.75, 0.8, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86]
LEARNING_BUT_POOR = [0.3, 0.36, 0.38, 0.4, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46, 0.47, 0.48]
LATE_BLOOMER = [0.3, 0.31, 0.3, 0.31, 0.3, 0.31, 0.84, 0.85, 0.86, 0.87, 0.87, 0.87]
NEVER_LEARNS = [0.25] * 12


def study_of(pruner: optuna.pruners.BasePruner, n_good: int = 8) -> optuna.Study:
    study = optuna.create_study(study_name="named", direction="maximize", pruner=pruner)
    for offset in range(n_good):
        train_until_pruned(study, [value - 0.001 * offset for value in GOOD], listen=False)
    return study


def train_until_pruned(study: optuna.Study, curve: list[float], listen: bool = True) -> int:
    """Train one trial, and return the number of its epochs."""
    return train(study, study.ask(), curve, listen=listen)


def train(
    study: optuna.Study, trial: optuna.Trial, curve: list[float], listen: bool = True
) -> int:
    for epoch, best in enumerate(accumulate(curve, max), start=1):
        trial.report(best, epoch)
        if trial.should_prune() and listen:
            study.tell(trial, state=TrialState.PRUNED)
            return epoch
    study.tell(trial, max(curve))
    return len(curve)


def test_default_stops_a_poor_trial_that_learns_at_the_end_of_warm_up() -> None:
    study = study_of(make_pruner("auto", 12))
    assert train_until_pruned(study, LEARNING_BUT_POOR) == warm_up_epochs(12) == 4


def test_default_trains_a_late_improver_to_its_end() -> None:
    study = study_of(make_pruner("auto", 12))
    assert train_until_pruned(study, LATE_BLOOMER) == 12


def test_default_stops_a_trial_that_never_learns_after_the_longest_plateau() -> None:
    study = study_of(make_pruner("auto", 12))
    assert train_until_pruned(study, NEVER_LEARNS) == plateau_epochs(12) == 7


def test_default_waits_for_enough_peers() -> None:
    study = study_of(make_pruner("auto", 12), n_good=5)
    assert train_until_pruned(study, LEARNING_BUT_POOR) == 12


def test_default_keeps_the_best_trial_among_many_poor_ones() -> None:
    study = study_of(make_pruner("auto", 12))
    for _ in range(10):
        train_until_pruned(study, LEARNING_BUT_POOR)
    assert train_until_pruned(study, [value + 0.01 for value in GOOD]) == 12


def test_threshold_counts_trials_that_ended_before_the_epoch() -> None:
    middling = [value - 0.02 for value in GOOD]
    alone, among_poor = study_of(make_pruner("auto", 12)), study_of(make_pruner("auto", 12))
    for _ in range(40):
        train_until_pruned(among_poor, LEARNING_BUT_POOR)
    assert train_until_pruned(alone, middling) == 4
    assert train_until_pruned(among_poor, middling) > 4


def test_default_does_not_stop_a_trial_that_has_just_trained_its_last_epoch() -> None:
    study = study_of(make_pruner("auto", 12))
    trial = study.ask()
    trial.report(0.1, 12)
    assert not trial.should_prune()


def test_failed_trials_are_not_compared_with() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner("auto", 12))
    for _ in range(8):
        trial = study.ask()
        for epoch, value in enumerate(GOOD[:6], start=1):
            trial.report(value, epoch)
        study.tell(trial, state=TrialState.FAIL)
    assert train_until_pruned(study, LEARNING_BUT_POOR) == 12


def train_in_family(study: optuna.Study, family: str, curve: list[float]) -> int:
    trial = study.ask()
    trial.set_user_attr("config", {"family": family})
    trial.set_user_attr(MAX_EPOCHS, len(curve))
    return train(study, trial, curve)


def family_study(name: str, family_trials: int) -> optuna.Study:
    pruner = make_pruner(name, 12, family_trials=family_trials)
    study = optuna.create_study(study_name="named", direction="maximize", pruner=pruner)
    for offset in range(8):
        train_in_family(study, "quick", [value - 0.001 * offset for value in GOOD])
    return study


@pytest.mark.parametrize("name", PRUNERS)
def test_family_is_not_pruned_until_it_has_its_minimum(name: str) -> None:
    study = family_study(name, family_trials=2)
    risen = [[value + 0.02 * number for value in LEARNING_BUT_POOR] for number in range(2)]
    n_epochs = [train_in_family(study, "slow", curve) for curve in risen]
    # These two stop the first trial of a rung whatever its value.
    if name not in ("hyperband", "halving"):
        assert n_epochs == [12, 12]
    else:
        assert n_epochs[1] > min(train_in_family(study, "slow", risen[0]) for _ in range(8))


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_family_is_compared_with_all_once_it_has_its_minimum(name: str) -> None:
    study = family_study(name, family_trials=2)
    for _ in range(2):
        train_in_family(study, "slow", LEARNING_BUT_POOR)
    epochs = [train_in_family(study, "slow", LEARNING_BUT_POOR) for _ in range(8)]
    assert min(epochs) < 12


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_trial_is_not_compared_with_trainings_of_another_length(name: str) -> None:
    study = family_study(name, family_trials=1)
    slow = [[value + 0.02 * number for value in LEARNING_BUT_POOR * 2] for number in range(9)]
    n_epochs = [train_in_family(study, "slow", curve) for curve in slow]
    assert max(n_epochs) == 24


@pytest.mark.parametrize("name", PRUNERS)
def test_short_trial_is_judged_on_its_own_length_beside_longer_ones(name: str) -> None:
    n_epochs = []
    for n_phases in (1, 2):
        pruner = make_pruner(name, 40, n_phases=n_phases, family_trials=1)
        study = optuna.create_study(study_name="named", direction="maximize", pruner=pruner)
        curves = [
            [0.8 - 0.01 * number + 0.001 * epoch for epoch in range(40)] for number in range(12)
        ]
        n_epochs.append([train_in_family(study, "short", curve) for curve in curves])
    assert n_epochs[0] == n_epochs[1]


def test_rejected_and_failed_trials_do_not_fill_a_familys_minimum() -> None:
    study = family_study("auto", family_trials=2)
    for state in (TrialState.PRUNED, TrialState.FAIL):
        trial = study.ask()
        trial.set_user_attr("config", {"family": "slow"})
        if state == TrialState.FAIL:
            trial.set_user_attr(MAX_EPOCHS, 12)
        study.tell(trial, state=state)
    assert train_in_family(study, "slow", LEARNING_BUT_POOR) == 12
    assert train_in_family(study, "slow", LEARNING_BUT_POOR) == 12
    assert train_in_family(study, "slow", LEARNING_BUT_POOR) == 4


def test_default_pruner_uses_the_trials_own_maximum_of_epochs() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner("auto", 12, n_phases=2))
    for _ in range(8):
        train_in_family(study, "long", GOOD + [0.87] * 12)
    assert train_in_family(study, "long", LEARNING_BUT_POOR * 2) == warm_up_epochs(24)
    assert train_in_family(study, "short", NEVER_LEARNS) == plateau_epochs(12)
    trial = study.ask()
    trial.set_user_attr(MAX_EPOCHS, 12)
    trial.report(0.1, 12)
    assert not trial.should_prune()


def test_none_never_prunes() -> None:
    study = study_of(make_pruner("none", 12))
    assert train_until_pruned(study, NEVER_LEARNS) == 12


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_every_other_pruner_stops_a_trial_that_never_learns(name: str) -> None:
    study = study_of(make_pruner(name, 12))
    # Hyperband's brackets, drawn from study name and trial number, differ in strictness.
    assert min(train_until_pruned(study, NEVER_LEARNS) for _ in range(8)) < 12


@pytest.mark.parametrize("max_epochs", [1, 5, 100])
@pytest.mark.parametrize("name", PRUNERS)
def test_no_pruner_stops_the_best_trial_of_any_length(name: str, max_epochs: int) -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner(name, max_epochs))
    for number in range(8):
        curve = [0.3 + 0.05 * number + 0.1 * epoch / max_epochs for epoch in range(max_epochs)]
        n_epochs = train_until_pruned(study, curve)
    # These two stop the first trial of a rung whatever its value.
    if name not in ("hyperband", "halving"):
        assert n_epochs == max_epochs
    assert len(study.trials) == 8


@pytest.mark.parametrize("name", PRUNERS)
def test_trials_of_one_epoch_are_never_pruned(name: str) -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner(name, 1))
    for number in range(12):
        train_until_pruned(study, [0.9 - 0.05 * number])
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("family_trials", [0, 1])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", PRUNERS)
def test_every_sampler_proposes_beside_every_pruner(
    name: str, sampler: str, family_trials: int
) -> None:
    study = optuna.create_study(
        direction="maximize",
        sampler=make_sampler(sampler, 0),
        pruner=make_pruner(name, 12, family_trials=family_trials),
    )
    for _ in range(N_STARTUP_TRIALS + 3):
        trial = study.ask()
        scale = trial.suggest_float("scale", 0.5, 1.0)
        train(study, trial, [scale * value for value in GOOD])
    assert len(study.trials) == N_STARTUP_TRIALS + 3


def test_unknown_pruner_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"pruners auto, median, .*none\. Received: 'medain'"):
        make_pruner("medain", 20)


@pytest.mark.parametrize(
    ("max_epochs", "warm_up", "plateau"),
    [(2, 1, 2), (5, 2, 3), (12, 4, 7), (20, 4, 7), (100, 20, 35)],
)
def test_warm_up_scales_with_the_length_of_a_training(
    max_epochs: int, warm_up: int, plateau: int
) -> None:
    assert warm_up_epochs(max_epochs) == warm_up
    assert plateau_epochs(max_epochs) == plateau


@needs_curves
def test_default_reaches_its_targets_on_recorded_curves() -> None:
    rounds = REPLAY["draw_rounds"](REPLAY["read_curves"](), 60, 30, 20)
    summary = REPLAY["summarize"](lambda: make_pruner("auto", 20), rounds)
    assert summary.cost <= 0.55
    assert summary.regret <= 0.007


@needs_curves
def test_default_prunes_some_but_rarely_the_best_of_a_small_budget() -> None:
    rounds = REPLAY["draw_rounds"](REPLAY["read_curves"](), 60, 16, 12)
    summary = REPLAY["summarize"](lambda: make_pruner("auto", 12), rounds)
    assert summary.pruned_range[0] >= 2
    assert summary.pruned_range[1] <= 12
    assert summary.share_best_pruned <= 0.10


@needs_curves
def test_replay_without_pruning_trains_every_curve_to_its_end() -> None:
    rounds = REPLAY["draw_rounds"](REPLAY["read_curves"](), 2, 30, 20)
    summary = REPLAY["summarize"](lambda: make_pruner("none", 20), rounds)
    assert (summary.cost, summary.regret, summary.pruned_range) == (1.0, 0.0, (0, 0))
