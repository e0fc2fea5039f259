"""The layers that the cost estimate builds, against those of the Keras model of the config."""

from typing import Any

import pytest

from spaces import Config, DrawnLayer, SearchSpace, SpaceError, draw_network, predict_cost
from spaces.families import default_families
from spaces.keras_models import build_model
from spaces.parameters.stub_trials import PreferredTrial
from tests.tools.marks import rest_slow

N_CLASSES = 3
SHAPE = (64, 64, 1)
KERAS_KINDS = {
    "Conv2D": "conv2d",
    "MaxPooling2D": "max_pool",
    "AveragePooling2D": "average_pool",
    "Add": "add",
    "Concatenate": "concatenate",
    "BatchNormalization": "batch_norm",
    "Activation": "activation",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "GlobalAveragePooling2D": "global_average",
    "Dense": "dense",
    "Functional": "backbone",
    "InputLayer": "image",
}


def known_good(family: str) -> list[Config]:
    space = SearchSpace.create([family])
    return [space.suggest(PreferredTrial(values)) for values in space.known_good()]


CONFIGS = [
    *(it for family in default_families() for it in known_good(family)),
    *rest_slow(*known_good("transfer")),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda it: it.family)
def test_layers_are_those_of_the_keras_model(config: Config) -> None:
    import keras

    drawn = draw_network(config, SHAPE, N_CLASSES)
    assert sum(it.parameters for it in drawn) == predict_cost(config, SHAPE, N_CLASSES).parameters
    model = build_model(config, SHAPE, N_CLASSES, seed=0, mean=[100.0], std=[50.0])
    in_keras = {layer.name: layer for layer in model.layers}
    scaling = {"normalize", "three_channels", "tf_pixels", "torch_pixels", "caffe_pixels"}
    assert {it.name for it in drawn} == set(in_keras) - scaling
    for it in drawn:
        layer: Any = in_keras[it.name]
        kind = KERAS_KINDS[type(layer).__name__]
        assert it.kind == ("probabilities" if it.name == "probabilities" else kind)
        assert it.parameters == layer.count_params(), it
        shape = layer.output.shape[1:]
        assert it.shape == tuple(shape), it
        if it.kind not in {"image", "backbone"}:
            assert set(it.inputs) == inputs_of(layer), it
    keras.backend.clear_session()


def inputs_of(layer: Any) -> set[str]:
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    names = {it._keras_history.operation.name for it in tensors}
    return {"image" if name == "normalize" else name for name in names}


def test_image_comes_first_and_probabilities_last() -> None:
    drawn = draw_network(known_good("residual")[0], SHAPE, N_CLASSES)
    assert drawn[0] == DrawnLayer("image", "image", SHAPE, 0, ())
    assert (drawn[-1].kind, drawn[-1].shape) == ("probabilities", (N_CLASSES,))
    before: set[str] = set()
    for layer in drawn:
        assert before.issuperset(layer.inputs), layer
        before.add(layer.name)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(SpaceError, match="no smaller than the window"):
        draw_network(known_good("vgg")[0], (1, 1, 1), N_CLASSES)
