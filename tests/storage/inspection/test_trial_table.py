"""What a table of trials reads, and which trials keep their weights."""

import pytest
import sqlalchemy as sa
from optuna.trial import create_trial

from storage import (
    Store,
    StoreDamagedError,
    TrialTable,
    create_study,
    list_trials_to_keep,
    load_optuna_study,
)
from storage.optuna_schema.tables import user_attributes


def test_among_equally_good_trials_the_smaller_ones_are_kept(store: Store) -> None:
    study_id = create_study(store, "study", settings="{}")[0].study_id
    study = load_optuna_study(store, "study")
    for value, parameters in ((0.9, 3000), (0.9, 200.5), (0.9, 1000), (0.8, 10)):
        study.add_trial(create_trial(value=value, user_attrs={"parameters": parameters}))
    study.add_trial(create_trial(value=0.9))
    assert list_trials_to_keep(store, study_id, n_best=1, n_pruned=0) <= {1, 4}
    assert {1, 2} <= list_trials_to_keep(store, study_id, n_best=3, n_pruned=0)
    assert list_trials_to_keep(store, study_id, n_best=4, n_pruned=0) == {0, 1, 2, 4}


def test_attributes_that_nobody_uses_are_not_parsed(store: Store) -> None:
    """A config is ten times the rest of a row, and a ranking of thousands shows ten of them."""
    study_id = create_study(store, "study", settings="{}")[0].study_id
    attributes = {"config": {"family": "plain"}, "parameters": 5, "other": 1}
    load_optuna_study(store, "study").add_trial(create_trial(value=0.9, user_attrs=attributes))
    with store.write() as connection:
        is_config = user_attributes.c.key == "config"
        broken = sa.update(user_attributes).where(is_config).values(value_json="not JSON")
        connection.execute(broken)
    (row,) = TrialTable(store, study_id, attributes=("config", "parameters")).read()
    assert row.attributes["parameters"] == 5
    assert set(row.attributes) == {"config", "parameters"}
    assert "other" not in row.attributes
    with pytest.raises(StoreDamagedError, match="it holds 'not JSON', which cannot be read"):
        row.attributes["config"]


@pytest.mark.parametrize(
    ("constraints", "is_feasible"),
    [
        ({}, True),
        ({"constraints:size": -0.5}, True),
        ({"constraints:size": 0}, True),
        ({"constraints:size": 0.5}, False),
        ({"constraints:size": -0.5, "constraints:time": 1e-9}, False),
        ({"constraints:size": float("-inf")}, True),
        ({"constraints:size": float("nan")}, False),
        ({"constraints:size": "large"}, False),
        ({"constraints": [-1.0, 2.0]}, False),
        ({"constraints": [-1.0, -2.0]}, True),
    ],
)
def test_table_knows_whether_constraints_are_met(
    store: Store, constraints: dict[str, object], is_feasible: bool
) -> None:
    study_id = create_study(store, "study", settings="{}")[0].study_id
    trial = create_trial(value=0.9, system_attrs=constraints)
    load_optuna_study(store, "study").add_trial(trial)
    (row,) = TrialTable(store, study_id).read()
    assert row.is_feasible is is_feasible
