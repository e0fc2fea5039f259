"""Building a Keras model and an optimizer from a config."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces import Config
from spaces.keras_models import build_model, build_optimizer
from spaces.network_settings import INITIALIZERS

SHAPE = (16, 16, 1)
Draw = Callable[..., Config]


def build(config: Config, seed: int = 3) -> Any:
    return build_model(config, SHAPE, 4, seed=seed, mean=[100.0], std=[50.0])


def weights(config: Config, seed: int = 3) -> list[np.ndarray]:
    return build(config, seed).get_weights()


def test_layers_have_readable_names(small_config: Draw) -> None:
    config = small_config(batch_normalization=True, head="flatten", dropout=0.1)
    names = [layer.name for layer in build(config).layers]
    assert names[:6] == [
        "image",
        "normalize",
        "stage1_conv1",
        "stage1_conv1_norm",
        "stage1_conv1_activation",
        "stage1_pool",
    ]
    assert names[-6:] == [
        "flatten",
        "head_dropout",
        "dense1",
        "dense1_activation",
        "dense1_dropout",
        "probabilities",
    ]


def test_output_is_a_probability_of_each_class(small_config: Draw, images: np.ndarray) -> None:
    predicted = build(small_config()).predict_on_batch(images)
    assert predicted.shape == (16, 4)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)


def test_model_normalizes_raw_pixels_of_each_channel_itself(small_config: Draw) -> None:
    config = small_config()
    model = build_model(config, (16, 16, 2), 4, seed=0, mean=[100.0, 20.0], std=[50.0, 10.0])
    normalized = model.get_layer("normalize")(np.full((1, 16, 16, 2), [150.0, 0.0], "float32"))
    np.testing.assert_allclose(normalized[0, 0, 0], [1.0, -2.0], rtol=1e-6)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_same_config_and_seed_give_the_same_weights(small_config: Draw, initializer: str) -> None:
    config = small_config(kernel_initializer=initializer, bias_initializer=initializer)
    first, second, other = weights(config), weights(config), weights(config, seed=4)
    for mine, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, again)
    assert any((mine != theirs).any() for mine, theirs in zip(first, other, strict=True))


def test_every_layer_draws_its_own_weights(small_config: Draw) -> None:
    model = build(small_config(convs=3, stages=1, channels=8))
    second, third = (model.get_layer(f"stage1_conv{number}") for number in (2, 3))
    assert (second.kernel.numpy() != third.kernel.numpy()).any()
    assert (second.bias.numpy() != third.bias.numpy()).any()


def test_dropout_repeats_with_its_seed(small_config: Draw, images: np.ndarray) -> None:
    config = small_config(dropout=0.5)
    first, again, off = (
        np.asarray(build(config)(images, training=on)) for on in (True, True, False)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != off).any()


def test_orthogonal_bias_has_length_one_in_every_layer(small_config: Draw) -> None:
    model = build(small_config(bias_initializer="orthogonal", dense_layers=2))
    biases = [layer.bias.numpy() for layer in model.layers if hasattr(layer, "bias")]
    assert len(biases) == 5
    for bias in biases:
        assert np.linalg.norm(bias) == pytest.approx(1, rel=1e-5)
    assert (biases[0] != biases[1]).any()


@pytest.mark.parametrize(
    "initializer", ["he_uniform", "he_normal", "glorot_uniform", "glorot_normal"]
)
def test_other_biases_are_drawn_too(small_config: Draw, initializer: str) -> None:
    model = build(small_config(bias_initializer=initializer))
    assert model.get_layer("stage1_conv1").bias.numpy().std() > 0


def test_orthogonal_kernel_has_orthogonal_columns(small_config: Draw) -> None:
    kernel = build(small_config(kernel_initializer="orthogonal")).get_layer("stage2_conv1").kernel
    flat = kernel.numpy().reshape(-1, 8)
    np.testing.assert_allclose(flat.T @ flat, np.eye(8), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("none", None), ("l1", (2e-5, 0.0)), ("l2", (0.0, 3e-4)), ("l1_l2", (2e-5, 3e-4))],
)
def test_regularizer_acts_on_every_kernel(
    small_config: Draw, kind: str, expected: tuple[float, float] | None
) -> None:
    model = build(small_config(regularizer=kind, l1_strength=2e-5, l2_strength=3e-4))
    for name in ("stage1_conv1", "dense1", "probabilities"):
        penalty = model.get_layer(name).kernel_regularizer
        found = None if penalty is None else (float(penalty.l1), float(penalty.l2))
        assert found == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ({"optimizer": "adam", "learning_rate": 0.002, "adam_beta_1": 0.85}, {"beta_1": 0.85}),
        (
            {"optimizer": "adamw", "learning_rate": 0.002, "adamw_weight_decay": 0.01},
            {"weight_decay": 0.01},
        ),
        ({"optimizer": "nadam", "learning_rate": 0.002, "nadam_beta_1": 0.9}, {"beta_1": 0.9}),
        ({"optimizer": "rmsprop", "learning_rate": 0.002, "rmsprop_rho": 0.95}, {"rho": 0.95}),
        (
            {
                "optimizer": "sgd",
                "sgd_learning_rate": 0.002,
                "sgd_momentum": 0.9,
                "sgd_nesterov": True,
            },
            {"momentum": 0.9, "nesterov": True},
        ),
    ],
    ids=lambda value: value.get("optimizer"),
)
def test_optimizer_has_its_rate_and_its_own_parameters(
    small_config: Draw, fixed: dict[str, Any], expected: dict[str, Any]
) -> None:
    optimizer = build_optimizer(small_config(**fixed))
    made = optimizer.get_config()
    assert type(optimizer).__name__.lower() == fixed["optimizer"]
    assert made["learning_rate"] == pytest.approx(0.002)
    assert {name: made[name] for name in expected} == expected
