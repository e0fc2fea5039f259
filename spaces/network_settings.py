"""The parts of a config that all families share: layers, head and optimizer."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

Initializer = Literal["he_uniform", "he_normal", "glorot_uniform", "glorot_normal", "orthogonal"]
Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh"]
Pooling = Literal["flatten", "global_average"]

INITIALIZERS: tuple[Initializer, ...] = get_args(Initializer)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Strength = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Regularizer:
    """Penalties on kernels; 0 means none."""

    l1: Strength = 0.0
    l2: Strength = 0.0


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """Settings of all layers of a network; `dropout` acts in the head."""

    kernel_initializer: Initializer
    bias_initializer: Initializer
    activation: Activation
    batch_normalization: bool
    dropout: Fraction
    regularizer: Regularizer


@dataclass(frozen=True, slots=True)
class Head:
    """Pooling of feature maps to a vector, and the units of the hidden dense layers after it."""

    pooling: Pooling
    dense_units: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Adam:
    """Source: Kingma and Ba, "Adam", https://arxiv.org/abs/1412.6980."""

    learning_rate: Rate
    beta_1: Fraction
    name: Literal["adam"] = "adam"
    n_slots: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class AdamW:
    """Source: Loshchilov and Hutter, https://arxiv.org/abs/1711.05101."""

    learning_rate: Rate
    beta_1: Fraction
    weight_decay: Strength
    name: Literal["adamw"] = "adamw"
    n_slots: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Nadam:
    """Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016."""

    learning_rate: Rate
    beta_1: Fraction
    name: Literal["nadam"] = "nadam"
    n_slots: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class RMSprop:
    """Source: Hinton, lecture 6 of "Neural Networks for Machine Learning", 2012."""

    learning_rate: Rate
    rho: Fraction
    name: Literal["rmsprop"] = "rmsprop"
    n_slots: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class SGD:
    """Gradient descent, with Nesterov's look-ahead only if there is momentum."""

    learning_rate: Rate
    momentum: Fraction
    nesterov: bool
    name: Literal["sgd"] = "sgd"

    @property
    def n_slots(self) -> int:
        """Number of copies of the weights that the optimizer keeps."""
        return 1 if self.momentum else 0


Optimizer = Annotated[Adam | AdamW | Nadam | RMSprop | SGD, Field(discriminator="name")]
OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")
