"""The parameters that all families share, and how layers, head and optimizer are drawn."""

from spaces.network_settings import (
    ACTIVATIONS,
    INITIALIZERS,
    OPTIMIZERS,
    POOLINGS,
    SGD,
    Adam,
    AdamW,
    Head,
    LayerSettings,
    Nadam,
    Optimizer,
    Regularizer,
    RMSprop,
)
from spaces.parameters.domain_types import Choices, Domain, FloatRange, IntRange, Value
from spaces.parameters.suggestion import Draw

MAX_DENSE_LAYERS = 3
BATCH_SIZES = (16, 32, 64, 128)
REGULARIZERS = ("none", "l1", "l2", "l1_l2")
BOOLEAN = Choices((True, False))
BLOCK_DROPOUT = FloatRange(0.0, 0.3)
"""Domain of `block_dropout`, shared by the families that consist of blocks."""
BASELINE_PARAMETERS: dict[str, Value] = {
    "head": "flatten",
    "dense_layers": 1,
    "dense1_units": 64,
    "kernel_initializer": "he_normal",
    "bias_initializer": "he_uniform",
    "activation": "relu",
    "batch_normalization": False,
    "dropout": 0.1,
    "regularizer": "none",
    "batch_size": 32,
    "augmentation": False,
}
"""Shared parameters that suit most networks; known-good configs are based on them."""
_MOMENT_DECAY = FloatRange(0.8, 0.99)


def common_parameters() -> dict[str, Domain]:
    """Return the domains of the shared parameters, by name."""
    return {
        "head": Choices(POOLINGS),
        "dense_layers": IntRange(0, MAX_DENSE_LAYERS),
        **{f"dense{i}_units": IntRange(32, 512, log=True) for i in _dense_numbers()},
        "kernel_initializer": Choices(INITIALIZERS),
        "bias_initializer": Choices(INITIALIZERS),
        "activation": Choices(ACTIVATIONS),
        "batch_normalization": BOOLEAN,
        "dropout": FloatRange(0.0, 0.6),
        "regularizer": Choices(REGULARIZERS),
        "l1_strength": FloatRange(1e-6, 1e-3, log=True),
        "l2_strength": FloatRange(1e-6, 1e-2, log=True),
        "optimizer": Choices(OPTIMIZERS),
        "learning_rate": FloatRange(1e-4, 1e-2, log=True),
        "adam_beta_1": _MOMENT_DECAY,
        "adamw_beta_1": _MOMENT_DECAY,
        "adamw_weight_decay": FloatRange(1e-5, 1e-1, log=True),
        "nadam_beta_1": _MOMENT_DECAY,
        "rmsprop_rho": _MOMENT_DECAY,
        "sgd_learning_rate": FloatRange(1e-3, 1e-1, log=True),
        "sgd_momentum": FloatRange(0.0, 0.95),
        "sgd_nesterov": BOOLEAN,
        "batch_size": Choices(BATCH_SIZES),
        "augmentation": BOOLEAN,
    }


def width_parameters(prefix: str, low: int, high: int) -> dict[str, Domain]:
    """Return the domains that `suggest_widths` draws from."""
    return {
        f"{prefix}_width": IntRange(low, high, log=True),
        f"{prefix}_width_growth": FloatRange(1.0, 2.0),
    }


def suggest_widths(draw: Draw, prefix: str, n: int) -> tuple[int, ...]:
    """Draw the widths of `n` blocks or stages, each a factor wider than the one before."""
    width = draw.integer(f"{prefix}_width")
    growth = draw.number(f"{prefix}_width_growth") if n > 1 else 1.0
    return tuple(round(width * growth**i) for i in range(n))


def suggest_head(draw: Draw) -> Head:
    """Draw pooling and hidden dense layers."""
    pooling = draw.one_of("head", POOLINGS)
    n_dense = draw.integer("dense_layers")
    units = tuple(draw.integer(f"dense{i}_units") for i in range(1, n_dense + 1))
    return Head(pooling=pooling, dense_units=units)


def suggest_layer_settings(draw: Draw) -> LayerSettings:
    """Draw initializers, activation, normalization and regularization of all layers."""
    return LayerSettings(
        kernel_initializer=draw.one_of("kernel_initializer", INITIALIZERS),
        bias_initializer=draw.one_of("bias_initializer", INITIALIZERS),
        activation=draw.one_of("activation", ACTIVATIONS),
        batch_normalization=draw.flag("batch_normalization"),
        dropout=draw.number("dropout"),
        regularizer=suggest_regularizer(draw),
    )


def suggest_regularizer(draw: Draw) -> Regularizer:
    """Draw the penalties; a strength is drawn only for one that acts."""
    kind = draw.one_of("regularizer", REGULARIZERS)
    return Regularizer(
        l1=draw.number("l1_strength") if kind in ("l1", "l1_l2") else 0.0,
        l2=draw.number("l2_strength") if kind in ("l2", "l1_l2") else 0.0,
    )


def suggest_optimizer(draw: Draw) -> Optimizer:
    """Draw an optimizer with its own parameters."""
    name = draw.one_of("optimizer", OPTIMIZERS)
    if name == "sgd":
        return _suggest_sgd(draw)
    learning_rate = draw.number("learning_rate")
    if name == "rmsprop":
        return RMSprop(learning_rate, rho=draw.number("rmsprop_rho"))
    beta_1 = draw.number(f"{name}_beta_1")
    if name == "adamw":
        return AdamW(learning_rate, beta_1, weight_decay=draw.number("adamw_weight_decay"))
    return Nadam(learning_rate, beta_1) if name == "nadam" else Adam(learning_rate, beta_1)


def _suggest_sgd(draw: Draw) -> SGD:
    learning_rate = draw.number("sgd_learning_rate")
    momentum = draw.number("sgd_momentum")
    nesterov = momentum > 0 and draw.flag("sgd_nesterov")
    return SGD(learning_rate, momentum, nesterov)


def _dense_numbers() -> range:
    return range(1, MAX_DENSE_LAYERS + 1)
