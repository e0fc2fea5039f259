"""Grad-CAM against maps worked by hand, and on a network of every family."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.trainer.predictions import N_MISTAKES
from search.training.grad_cam import choose_images, heat_maps
from spaces import SearchSpace
from spaces.families import default_families
from spaces.keras_models import build_model
from spaces.parameters.stub_trials import PreferredTrial

SMALL: dict[str, dict[str, object]] = {
    "plain": {"stages": 2, "channels": 8, "dense_layers": 1},
    "vgg": {"vgg_blocks": 2, "vgg_convs": 1, "vgg_width": 8},
    "inception": {"inception_stages": 2, "inception_blocks": 1, "inception_width": 16},
    "residual": {"residual_stages": 2, "residual_blocks": 1, "residual_width": 8},
    "dense": {"densenet_blocks": 2, "densenet_layers": 2, "densenet_growth_rate": 4},
}


def identity_network(side: int) -> Any:
    """Two maps, `x - 100` and `100 - x`, whose averages are weighed into two logits."""
    import keras

    image = keras.Input((side, side, 1))
    x = keras.layers.Conv2D(2, 1)(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
    kernel = np.array([1.0, -1.0]).reshape(1, 1, 1, 2)
    model.layers[1].set_weights([kernel, np.array([-100.0, 100.0])])
    model.layers[-1].set_weights([np.array([[90.0, 10.0], [20.0, 70.0]]), np.array([0.0, 5.0])])
    return model


def test_map_is_the_one_worked_by_hand() -> None:
    side = 4
    images = np.random.default_rng(0).integers(0, 256, (20, side, side, 1)).astype(np.uint8)
    classes = np.arange(20) % 2
    found = heat_maps(identity_network(side), images, classes)
    assert found is not None
    # Of class 0 the weights are 90 and 20, so the map is 70 (x - 100); of class 1 60 (100 - x).
    centred = images[..., 0].astype(float) - 100
    expected = np.maximum(np.where((classes == 0)[:, None, None], centred, -centred), 0)
    expected *= 255 / expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1)


def test_map_that_is_nowhere_above_zero_is_black() -> None:
    found = heat_maps(identity_network(4), np.full((1, 4, 4, 1), 90, np.uint8), np.array([0]))
    assert found is not None
    assert found.max() == 0


def network(family: str, side: int, **fixed: Any) -> Any:
    config = SearchSpace.create([family], fixed).random_config(random.Random(0))
    return build_model(config, (side, side, 1), 3, seed=0, mean=[100.0], std=[50.0])


def transfer(backbone: str, side: int) -> Any:
    config = SearchSpace.create(["transfer"]).suggest(PreferredTrial({"backbone": backbone}))
    return build_model(config, (side, side, 1), 3, seed=0, mean=[100.0], std=[50.0])


CASES: dict[str, Callable[[], Any]] = {
    **{
        family: lambda family=family: network(family, 16, **SMALL.get(family, {}))  # type: ignore[misc]
        for family in default_families()
    },
    "flattened": lambda: network("plain", 16, **SMALL["plain"], head="flatten"),
    "vgg to one pixel": lambda: network("vgg", 4, **SMALL["vgg"]),
    "inception to one pixel": lambda: network("inception", 2, **SMALL["inception"]),
    "residual to one pixel": lambda: network("residual", 2, **SMALL["residual"]),
    "dense to one pixel": lambda: network("dense", 2, **SMALL["dense"]),
    "transfer": lambda: transfer("mobilenet_v2", 64),
    "transfer to one pixel": lambda: transfer("mobilenet_v2", 32),
    "vgg16 to one pixel": lambda: transfer("vgg16", 32),
}


@pytest.mark.parametrize("case", CASES)
def test_every_family_has_maps_of_its_images_size(case: str) -> None:
    model = CASES[case]()
    side = model.input.shape[1]
    images = np.random.default_rng(0).integers(0, 256, (9, side, side, 1)).astype(np.uint8)
    found = heat_maps(model, images, np.arange(9) % 3)
    assert found is not None
    assert found.shape == (9, side, side)
    assert found.dtype == np.uint8
    highest = found.max(axis=(1, 2))
    assert set(highest.tolist()) <= {0, 255}
    assert highest.max() == 255
    assert len(np.unique(found)) > 2


def test_logits_are_those_of_the_network() -> None:
    from search.training.grad_cam import _build_feature_model

    for case in ("plain", "transfer", "transfer to one pixel"):
        model = CASES[case]()
        side = model.input.shape[1]
        images = np.random.default_rng(0).uniform(0, 255, (4, side, side, 1)).astype("float32")
        opened: Any = _build_feature_model(model)
        last = model.layers[-1]
        _, vector = opened(images, training=False)
        logits = np.asarray(vector) @ np.asarray(last.kernel) + np.asarray(last.bias)
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected = exponential / exponential.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict_on_batch(images), expected, atol=1e-5)


def test_images_of_one_pixel_have_no_map() -> None:
    pixels = np.zeros((1, 1, 1, 1), np.uint8)
    assert heat_maps(identity_network(1), pixels, np.array([0])) is None


def test_no_images_have_no_maps() -> None:
    found = heat_maps(identity_network(4), np.zeros((0, 4, 4, 1), np.uint8), np.array([], int))
    assert found is not None
    assert found.shape == (0, 4, 4)


def test_most_confident_mistakes_come_first_then_the_surest_of_each_class() -> None:
    said = np.array([0.9, 0.6, 0.8, 0.7, 0.95, 0.55])
    probabilities = np.stack([said, 1 - said], axis=1)
    labels = np.array([0, 1, 0, 1, 1, 0])
    assert choose_images(probabilities, labels).tolist() == [4, 3, 1, 0]


def test_as_many_mistakes_as_are_shown_are_chosen() -> None:
    probabilities = np.tile([0.9, 0.1], (40, 1))
    assert choose_images(probabilities, np.ones(40, int)).tolist() == list(range(N_MISTAKES))


def test_padding_inside_a_backbone_is_no_map() -> None:
    from search.training.grad_cam import _build_feature_model

    opened: Any = _build_feature_model(CASES["transfer to one pixel"]())
    assert opened.outputs[0].shape[1:3] == (2, 2)  # the padded map after it has 3 × 3
