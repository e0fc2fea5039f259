"""Allowed layers: every network that a search can build passes, and foreign code does not."""

import json
import random
from typing import Any

import pytest

from search.exported_models.allowed_layers import find_unknown_class
from spaces import SearchSpace
from spaces.families import family_names
from spaces.keras_models import build_model
from spaces.models.backbones import preprocess
from spaces.network_settings import ACTIVATIONS, INITIALIZERS
from spaces.parameters.stub_trials import PreferredTrial


def config_of(model: Any) -> bytes:
    import keras

    return json.dumps(keras.saving.serialize_keras_object(model)).encode()


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(it, marks=[] if it == "plain" else [pytest.mark.slow])
        for it in family_names()
        if it != "transfer"
    ],
)
def test_networks_of_every_family_are_allowed(family: str) -> None:
    import keras

    rng = random.Random(0)
    choices = (*INITIALIZERS, *ACTIVATIONS)
    for number in range(len(choices)):
        fixed = {
            "kernel_initializer": INITIALIZERS[number % len(INITIALIZERS)],
            "bias_initializer": INITIALIZERS[-1 - number % len(INITIALIZERS)],
            "activation": ACTIVATIONS[number % len(ACTIVATIONS)],
            "regularizer": ("none", "l1", "l2", "l1_l2")[number % 4],
        }
        config = SearchSpace.create([family], fixed).random_config(rng)
        model = build_model(config, (64, 64, 1), 3, seed=0, mean=[100.0], std=[50.0])
        assert find_unknown_class(config_of(model)) is None, fixed
        keras.backend.clear_session()


@pytest.mark.parametrize("channels", [1, 3])
def test_transfer_networks_are_allowed(channels: int) -> None:
    config = SearchSpace.create(["transfer"]).suggest(PreferredTrial({"backbone": "mobilenet_v2"}))
    shape = (64, 64, channels)
    model = build_model(config, shape, 3, seed=0, mean=[1.0] * channels, std=[1.0] * channels)
    assert find_unknown_class(config_of(model)) is None


def test_scaling_of_every_mode_is_allowed() -> None:
    """Every backbone is checked as it is saved, in `spaces/models/backbones/test_saving.py`."""
    import keras

    for channels, mode in ((1, "torch"), (3, "caffe"), (3, "tf")):
        image = keras.Input((32, 32, channels))
        model = keras.Model(image, preprocess(image, mode))  # type: ignore[arg-type]
        assert find_unknown_class(config_of(model)) is None, mode


def model_with(layer: dict[str, Any]) -> bytes:
    functional = {"module": "keras.src.models.functional", "class_name": "Functional"}
    return json.dumps({**functional, "config": {"layers": [layer]}}).encode()


def test_classes_that_may_run_foreign_code_are_refused() -> None:
    own = {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": None}
    function = {"module": "builtins", "class_name": "function", "config": "system"}
    for layer, found in (
        (own, None),
        ({**own, "class_name": "Lambda"}, "Lambda"),
        ({**own, "class_name": "TFSMLayer"}, "TFSMLayer"),
        ({**own, "class_name": "StringLookup"}, "StringLookup"),
        ({**own, "module": "os", "class_name": "system"}, "system"),
        ({**own, "module": "keras.layers.evil"}, "Dense"),
        ({**own, "module": ["keras.layers"]}, "Dense"),
        ({**own, "class_name": ["Dense"]}, "['Dense']"),
        ({**own, "registered_name": "mine>Dense"}, "Dense"),
        ({"class_name": "Dense", "config": {}}, "Dense"),
        ({"class_name": "__lambda__", "config": {"value": "4wEA"}}, "__lambda__"),
        ({**own, "config": {"activation": function}}, "function"),
        ({**own, "config": {"deep": [[{"er": function}]]}}, "function"),
    ):
        assert find_unknown_class(model_with(layer)) == found, layer


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"a":' * 9999])
def test_other_config_than_a_models_is_refused(config: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expect|decode"):
        find_unknown_class(config)


def relu(**changes: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": "ReLU", "config": {}, **changes}


def functional(*layers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(model_with(relu()))
    return {**whole, "config": {"layers": list(layers)}, **changes}


def test_models_that_repeat_their_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 40 models that calls the one before twice doubles the time to build them."""
    monkeypatch.setattr("search.exported_models.allowed_layers.MAX_OBJECTS", 5)
    four = functional(functional(relu(inbound_nodes=[{}])), relu(inbound_nodes=[]))
    assert find_unknown_class(json.dumps(four).encode()) is None
    for document, message in (
        (functional(relu(inbound_nodes=[{}, {}])), "layers that are used once"),
        (functional(functional(functional(functional()))), "nested at most 3 deep"),
        (functional(functional(relu(), shared_object_id=1)), "nested at most 3 deep"),
        (functional(*[relu()] * 5), "at most 5 objects"),
    ):
        with pytest.raises(ValueError, match=message):
            find_unknown_class(json.dumps(document).encode())
