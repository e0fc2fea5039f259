"""The training memory of a transfer trial, in closed form from what its backbone costs.

The constants were fitted to 16 measured trials of four backbones, 200 MB to 1.2 GB, in
`tests/benchmarks/measure_backbone_memory.py`; the meaning of each is beside it.
"""

from spaces.models.backbones.cost import BackboneCost

EXTRACTION_BATCH = 32
"""Images of a batch while features are computed."""

WEIGHT_COPIES = 2.0  # the extractor's, which its process keeps, and the fine-tuned network's
TRAINED_COPIES = 3.0  # gradients, the weights of the best epoch, and the checkpoint
SLOT_COPIES = 2.0  # the optimizer's own and the checkpoint's
LARGEST_MAP_COPIES = 1.5  # gradients in flight where the largest map is
LAYER_MB = 1.15  # of each layer with weights: its part of both graphs and its kernels

_MB = 2**20
_FLOAT_BYTES = 4


def transfer_memory_mb(cost: BackboneCost, batch_size: int, *, n_slots: int) -> float:
    """Return by how many MB a backbone increases a trainer's peak memory.

    Features are computed first, by a forward pass that keeps nothing; then the top of another copy
    of the backbone is trained. The maps of the frozen part take the place of the first pass's.

    Args:
        cost: Of the backbone, at the size and depth of the trial.
        batch_size: Images of a batch in training.
        n_slots: Copies of the trained weights that the optimizer keeps beside them.
    """
    maps: float = cost.peak_live_values * max(batch_size, EXTRACTION_BATCH)
    maps += (cost.retained_values + LARGEST_MAP_COPIES * cost.largest_map) * batch_size
    trained = (TRAINED_COPIES + SLOT_COPIES * n_slots) * cost.trainable_parameters
    numbers_mb = (maps + trained + WEIGHT_COPIES * cost.parameters) * _FLOAT_BYTES / _MB
    return LAYER_MB * cost.n_layers + numbers_mb
