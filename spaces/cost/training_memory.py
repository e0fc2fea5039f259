"""The training memory of a network, in closed form from what its layers keep.

The constants were fitted to 60 measured trainings of plain networks, 16 MB to 3.8 GB, those of a
layer and of the largest map to 12 more and to 39 of networks of up to 114 layers with weights, by
`tests/benchmarks/measure_memory.py`; the meaning of each is beside it.
"""

from dataclasses import dataclass

from spaces.network_settings import Activation, LayerSettings, Optimizer

# Copies of its map that an activation keeps for the backward pass. Most need only their output,
# which the next layer keeps anyway; leaky_relu needs its input too, silu and gelu parts of theirs.
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
RETAINED_BY_DROPOUT = 1.25  # its output and the mask, a byte a value

LARGEST_MAP_COPIES = 2.0  # gradients in flight where the largest map is
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
    """What a network retains in training: values of one image, and layers with weights."""

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
    """Return by how many MB a trainer's resident memory grows while it trains."""
    maps = (values.retained + LARGEST_MAP_COPIES * values.largest) * batch_size
    penalties = (settings.regularizer.l1 > 0) + (settings.regularizer.l2 > 0)
    copies = WEIGHT_COPIES + SLOT_COPIES * optimizer.n_slots + PENALTY_COPIES * penalties
    numbers_mb = (maps + copies * parameters) * _FLOAT_BYTES / _MB
    layer_mb = LAYER_MB + SLOT_LAYER_MB * optimizer.n_slots
    return TRAINING_MB + layer_mb * values.n_layers + numbers_mb
