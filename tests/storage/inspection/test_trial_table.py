"""Which trials keep their weights: the best ones, and among equals the first ranked."""

from optuna.trial import create_trial

from storage import Store, create_study, list_trials_to_keep, load_optuna_study


def test_among_equally_good_trials_the_smaller_ones_are_kept(store: Store) -> None:
    study_id = create_study(store, "study", settings="{}")[0].study_id
    study = load_optuna_study(store, "study")
    for value, parameters in ((0.9, 3000), (0.9, 200.5), (0.9, 1000), (0.8, 10)):
        study.add_trial(create_trial(value=value, user_attrs={"parameters": parameters}))
    study.add_trial(create_trial(value=0.9))
    assert list_trials_to_keep(store, study_id, n_best=1, n_pruned=0) <= {1, 4}
    assert {1, 2} <= list_trials_to_keep(store, study_id, n_best=3, n_pruned=0)
    assert list_trials_to_keep(store, study_id, n_best=4, n_pruned=0) == {0, 1, 2, 4}
