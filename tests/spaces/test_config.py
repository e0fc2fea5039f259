"""Configs: JSON and back, and keys that differ between configs."""

import json
import random
from typing import Any

import pytest

from spaces import Config, SearchSpace, SpaceError


def test_random_configs_survive_json(plain_space: SearchSpace) -> None:
    rng = random.Random(0)
    for _ in range(300):
        config = plain_space.random_config(rng)
        again = Config.from_json(json.loads(json.dumps(config.to_json())))
        assert again == config
        assert hash(again) == hash(config)
        assert again.key() == config.key()


RECORD: dict[str, Any] = {
    "family": "plain",
    "network": {"stages": [{"convs": 1, "channels": 8, "kernel_size": 3, "pool_size": None}]},
    "head": {"pooling": "flatten", "dense_units": [64]},
    "layers": {
        "kernel_initializer": "he_normal",
        "bias_initializer": "orthogonal",
        "activation": "relu",
        "batch_normalization": True,
        "dropout": 0.25,
        "regularizer": {"l1": 0.0, "l2": 0.0001},
    },
    "optimizer": {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True, "name": "sgd"},
    "batch_size": 32,
    "augmentation": False,
}


def test_key_equals_those_of_stored_trials() -> None:
    config = Config.from_json(RECORD)
    assert config.to_json() == RECORD
    assert config.key() == "b6072a2b558198588e9a86117147e06071587aa0ce865f0c7df46ec8513e66bf"


def test_key_changes_with_every_value(plain_space: SearchSpace) -> None:
    config = plain_space.random_config(random.Random(1))
    keys = {config.key()}
    for change in (
        {"batch_size": config.batch_size * 2},
        {"augmentation": not config.augmentation},
        {"head": {"pooling": config.head.pooling, "dense_units": [7]}},
    ):
        keys.add(Config.from_json({**config.to_json(), **change}).key())
    assert len(keys) == 4


def _without(name: str) -> Any:
    return lambda record: record.pop(name)


def _set(*path: str | int, value: object) -> Any:
    def change(record: Any) -> None:
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("batch_size"), "`batch_size`"),
        (_without("network"), "`network`"),
        (_set("batch_size", value=0), "`batch_size` = 0"),
        (_set("batch_size", value="32"), "`batch_size` = '32'"),
        (_set("family", value="alexnet"), "known family: .*plain"),
        (_set("optimizer", "name", value="lion"), "`optimizer`"),
        (_set("optimizer", "learning_rate", value=-1.0), "learning_rate` = -1.0"),
        (_set("layers", "activation", value="swish"), "`layers.activation` = 'swish'"),
        (_set("network", "stages", 0, "channels", value=0), "channels` = 0"),
        (_set("network", "stages", value=3), "`stages` = 3"),
        (_set("network", "depth", value=3), "unknown keys.*Received some in: network"),
        (_set("comment", value="mine"), "unknown keys.*Received some in: comment"),
    ],
)
def test_bad_record_is_refused(plain_space: SearchSpace, change: Any, message: str) -> None:
    record = plain_space.random_config(random.Random(0)).to_json()
    change(record)
    with pytest.raises(SpaceError, match=message):
        Config.from_json(record)
