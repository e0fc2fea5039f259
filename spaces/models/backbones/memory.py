"""The training memory of a transfer trial, in closed form from its backbone's cost.

The constants were fitted to 16 measured trials of four backbones, 200 MB to 1.2 GB, by
`tests/benchmarks/measure_backbone_memory.py`.
"""

from spaces.models.backbones.cost import BackboneCost

EXTRACTION_BATCH = 32
"""Batch size of the computation of features."""

WEIGHT_COPIES = 2.0  # the extractor's, which its process keeps, and the fine-tuned network's
TRAINED_COPIES = 3.0  # gradients, the weights of the best epoch, and the checkpoint
SLOT_COPIES = 2.0  # the optimizer's own and the checkpoint's
LARGEST_MAP_COPIES = 1.5  # gradients in flight at the largest map
LAYER_MB = 1.15  # of each layer with weights: its part of both graphs and its kernels

_MB = 2**20
_FLOAT_BYTES = 4


def transfer_memory_mb(cost: BackboneCost, batch_size: int, *, n_slots: int) -> float:
    """Return the growth of a trainer's peak memory due to a backbone, in MB.

    Features are computed first, by a forward pass that retains nothing; then the top of another
    copy of the backbone is trained, whose frozen maps reuse the memory of the first pass.
    `n_slots` counts the optimizer's copies of the trained weights.
    """
    maps: float = cost.peak_live_values * max(batch_size, EXTRACTION_BATCH)
    maps += (cost.retained_values + LARGEST_MAP_COPIES * cost.largest_map) * batch_size
    trained = (TRAINED_COPIES + SLOT_COPIES * n_slots) * cost.trainable_parameters
    numbers_mb = (maps + trained + WEIGHT_COPIES * cost.parameters) * _FLOAT_BYTES / _MB
    return LAYER_MB * cost.n_layers + numbers_mb
