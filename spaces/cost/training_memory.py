"""The training memory of a network, in closed form from what its layers retain.

The constants were fitted by `tests/benchmarks/measure_memory.py` to 60 measured trainings of plain
networks, 16 MB to 3.8 GB; those of a layer and of the largest map also to 12 more, and to 39 of
networks with up to 114 layers with weights.
"""

from dataclasses import dataclass

from spaces.network_settings import Activation, LayerSettings, Optimizer

# Copies of its map that an activation retains for the backward pass. Most need only their output,
# the input of the next layer; leaky_relu also needs its input, silu and gelu also parts of what
# they compute.
RETAINED_BY_ACTIVATION: dict[Activation, float] = {
    "relu": 1.0,
    "tanh": 1.0,
    "elu": 1.0,
    "selu": 1.0,
    "leaky_relu": 2.0,
    "silu": 2.5,
    "gelu": 3.75,
}
RETAINED_BY_NORM = 1.0  # its input
RETAINED_BY_POOL = 1.0  # its output
RETAINED_BY_DROPOUT = 1.25  # its output and the mask, one byte per value

LARGEST_MAP_COPIES = 2.0  # gradients in flight at the largest map
WEIGHT_COPIES = 6.0  # weights, gradient, update, best weights, checkpoint and what made it
SLOT_COPIES = 2.0  # the optimizer's own and the checkpoint's
PENALTY_COPIES = 1.0  # a kernel's square or absolute value, for each penalty
TRAINING_MB = 6.0  # functions and graphs of any network
LAYER_MB = 1.5  # of each layer with weights: its part of the graph and its kernels
SLOT_LAYER_MB = 1.0  # of each layer's update, for each slot of the optimizer

_MB = 2**20
_FLOAT_BYTES = 4


@dataclass(slots=True)
class RetainedActivations:
    """What training retains: values of one image, and the number of layers with weights."""

    retained: float = 0.0
    largest: int = 0
    n_layers: int = 0

    def add_map(self, size: int, copies: float = 0.0) -> None:
        """Count a map of `size` values, of which so many copies are retained."""
        self.retained += copies * size
        self.largest = max(self.largest, size)


def training_memory_mb(
    values: RetainedActivations,
    parameters: int,
    batch_size: int,
    *,
    settings: LayerSettings,
    optimizer: Optimizer,
) -> float:
    """Return the growth of a trainer's resident memory during training, in MB."""
    maps = (values.retained + LARGEST_MAP_COPIES * values.largest) * batch_size
    penalties = (settings.regularizer.l1 > 0) + (settings.regularizer.l2 > 0)
    copies = WEIGHT_COPIES + SLOT_COPIES * optimizer.n_slots + PENALTY_COPIES * penalties
    numbers_mb = (maps + copies * parameters) * _FLOAT_BYTES / _MB
    layer_mb = LAYER_MB + SLOT_LAYER_MB * optimizer.n_slots
    return TRAINING_MB + layer_mb * values.n_layers + numbers_mb
