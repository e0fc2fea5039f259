"""The search space of a study: drawing, narrowing, known-good configs, counting, comparing."""

import json
import random
import subprocess
import sys

import optuna
import pytest

from spaces import Config, Limits, SearchSpace, SpaceError, predict_cost
from spaces.parameters.domain_types import Choices
from spaces.parameters.stub_trials import PreferredTrial

FIXED: dict[str, object] = {
    "stages": 1,
    "convs": 1,
    "channels": 8,
    "kernel_size": 3,
    "pool": True,
    "pool_size": 2,
    "head": "flatten",
    "dense_layers": 0,
    "kernel_initializer": "he_normal",
    "bias_initializer": "he_normal",
    "activation": "relu",
    "batch_normalization": False,
    "dropout": 0.0,
    "regularizer": "none",
    "optimizer": "adam",
    "learning_rate": 0.001,
    "adam_beta_1": 0.9,
    "batch_size": 32,
    "augmentation": False,
}


def test_optuna_trial_and_its_parameters_give_the_same_config(plain_space: SearchSpace) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        config = plain_space.suggest(trial)
        assert plain_space.suggest(optuna.trial.FixedTrial(trial.params)) == config
        study.tell(trial, 0.0)


def test_inactive_parameters_are_not_suggested(plain_space: SearchSpace) -> None:
    trial = PreferredTrial(
        {"stages": 1, "optimizer": "sgd", "regularizer": "l2", "stage1_pool": False}
    )
    plain_space.suggest(trial)
    assert "stage1_channels" in trial.suggested
    assert "sgd_momentum" in trial.suggested
    assert "l2_strength" in trial.suggested
    inactive = {
        "stage1_pool_size",
        "stage2_channels",
        "learning_rate",
        "adam_beta_1",
        "l1_strength",
    }
    assert not inactive & set(trial.suggested)


def test_fixed_parameters_and_a_single_family_are_not_suggested() -> None:
    trial = PreferredTrial({})
    SearchSpace.create(["plain"], FIXED).suggest(trial)
    assert trial.suggested == {}


def test_nesterov_is_not_suggested_without_momentum() -> None:
    trial = PreferredTrial({})
    space = SearchSpace.create(["plain"], {"optimizer": "sgd", "sgd_momentum": 0})
    assert space.suggest(trial).optimizer.nesterov is False
    assert "sgd_nesterov" not in trial.suggested


def test_unknown_family_lists_the_known_ones() -> None:
    with pytest.raises(SpaceError, match=r"Expected a known family: .*plain.*Received: `plane`"):
        SearchSpace.create(["plane"])


def test_no_family_is_refused() -> None:
    with pytest.raises(SpaceError, match="at least one family"):
        SearchSpace.create([])


def test_space_survives_json(plain_space: SearchSpace) -> None:
    narrowed = SearchSpace.create(["plain"], {"channels": [8, 16], "learning_rate": {"low": 1e-3}})
    for space in (plain_space, narrowed):
        assert SearchSpace.from_json(json.loads(json.dumps(space.to_json()))) == space
    assert narrowed != plain_space


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "the record of a space"),
        ({"families": ["plain"], "domains": 3}, "the record of a space"),
        ({"families": ["alexnet"], "domains": {}}, "known family"),
    ],
)
def test_other_json_is_refused(record: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SearchSpace.from_json(record)


def test_recorded_space_without_a_parameter_names_it(plain_space: SearchSpace) -> None:
    record = plain_space.to_json()
    del record["domains"]["stages"]
    with pytest.raises(SpaceError, match="Received: `stages`"):
        SearchSpace.from_json(record).random_config(random.Random(0))


def test_differences_are_sentences(plain_space: SearchSpace) -> None:
    other = SearchSpace.create(["plain"], {"learning_rate": {"low": 1e-3}, "optimizer": "sgd"})
    assert other.differences(plain_space) == [
        "`optimizer`: adam, adamw, nadam, rmsprop, sgd there, sgd here",
        "`learning_rate`: 0.0001–0.01 there, 0.001–0.01 here",
    ]
    assert plain_space.differences(SearchSpace.create(["plain"])) == []


@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"activation": ["tanh", "gelu"], "channels": {"low": 100}},
        {"stages": [4, 5], "optimizer": "sgd", "batch_size": 128, "pool": False},
        {"kernel_size": [4, 6], "dropout": {"low": 0.5}, "head": "global_average"},
        {"dense_layers": {"low": 3}, "units": {"high": 33}, "l1_strength": 1e-6},
    ],
    ids=lambda narrowed: "-".join(narrowed) or "whole",
)
def test_known_good_parameters_are_inside_a_narrowed_space(narrowed: dict[str, object]) -> None:
    space = SearchSpace.create(["plain"], narrowed)
    study = optuna.create_study()
    known_good = space.known_good()
    assert known_good
    for parameters in known_good:
        study.enqueue_trial(parameters)
    for parameters in known_good:
        trial = study.ask()
        config = space.suggest(trial)
        assert trial.params == parameters  # Nothing was out of range, missing or unused.
        predict_cost(config, (32, 32, 1), 4)


def test_whole_space_has_several_known_good_configs(plain_space: SearchSpace) -> None:
    assert 4 <= len(plain_space.known_good()) <= 6


def test_known_good_drops_duplicates() -> None:
    assert SearchSpace.create(["plain"], FIXED).known_good() == [{}]


@pytest.mark.parametrize(
    ("freed", "expected"),
    [
        ({}, 1),
        ({"kernel_size": {"low": 3}, "batch_size": [16, 32, 64]}, 12),
        ({"stages": [1, 2], "pool_size": [2, 3]}, 6),  # Two poolings, then four pairs of them.
        ({"pool": [True, False], "pool_size": [2, 3]}, 3),
        ({"optimizer": ["adam", "sgd"], "sgd_learning_rate": 0.01, "sgd_momentum": 0.0}, 2),
    ],
)
def test_count_is_exact(freed: dict[str, object], expected: int) -> None:
    assert SearchSpace.create(["plain"], FIXED | freed).count() == expected


def test_count_is_none_for_an_infinite_space(plain_space: SearchSpace) -> None:
    assert plain_space.count() is None


def test_count_is_none_above_its_limit() -> None:
    space = SearchSpace.create(["plain"], FIXED | {"kernel_size": {"low": 3}})
    assert space.count(limit=4) == 4
    assert space.count(limit=3) is None


def test_random_configs_differ_and_repeat_with_their_seed(plain_space: SearchSpace) -> None:
    first, second = random.Random(7), random.Random(7)
    configs = [plain_space.random_config(first) for _ in range(20)]
    assert configs == [plain_space.random_config(second) for _ in range(20)]
    assert len({config.key() for config in configs}) == 20


def test_images_of_any_ordinary_size_fit(plain_space: SearchSpace) -> None:
    plain_space.check_image_shape((28, 28, 1), 2)
    plain_space.check_image_shape((64, 64, 3), 9, Limits(10**6, 1000, 10**9))


def test_images_too_small_for_every_network_are_refused() -> None:
    space = SearchSpace.create(["plain"], {"stages": 5, "pool": True})
    with pytest.raises(SpaceError, match="Received: 16×16 pixels; raise --image-size"):
        space.check_image_shape((16, 16, 1), 2)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_parameters=10), "--max-parameters.*Received: 10; the smallest of .* takes"),
        (Limits(max_memory_mb=1.0), "--max-memory.*Received: 1; the smallest of .* takes"),
        (
            Limits(max_operations=99),
            "--max-operations.*Received: 9.9e-05; the .* takes",
        ),
    ],
)
def test_limits_too_low_for_every_network_are_refused(
    plain_space: SearchSpace, limits: Limits, message: str
) -> None:
    with pytest.raises(SpaceError, match=message):
        plain_space.check_image_shape((32, 32, 1), 4, limits)


def test_drawing_a_config_loads_neither_keras_nor_optuna() -> None:
    code = (
        "import random, sys; import spaces; "
        "space = spaces.SearchSpace.create(['plain']); space.known_good(); "
        "config = space.random_config(random.Random(0)); "
        "spaces.predict_cost(config, (64, 64, 1), 4); "
        "print(sorted({'keras', 'tensorflow', 'optuna', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fixed_space_holds_single_choices() -> None:
    space = SearchSpace.create(["plain"], FIXED)
    assert space.domains["stage3_channels"] == Choices((8,))
    assert isinstance(space.random_config(random.Random(0)), Config)
