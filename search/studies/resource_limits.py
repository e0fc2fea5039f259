"""Limits of networks and number of workers, by the resources of this machine."""

from search import defaults
from search.machine.cores import n_cores
from search.machine.memory import total_mb
from search.settings.plan import StudyPlan
from spaces import Limits, SearchSpace

OPERATIONS_PER_PIXEL = 150_000_000 / 32**2
"""The costliest networks of the space take a hundred times the median time and are no better.
The default keeps an epoch of 2,000 images within half a minute on one core."""
TRAINER_OVERHEAD_MB = 700.0
"""Memory of a trainer and its worker without a network."""
MIN_MEMORY_MB = {"scratch": 256.0, "transfer": 640.0}
"""Minimum memory for a network, by image set."""
MAX_MEMORY_MB = 4096.0


def count_workers(plan: StudyPlan, space: SearchSpace) -> int:
    """Return the number of local workers: by default one per core, as memory allows."""
    if plan.study.workers != "auto":
        return plan.study.workers
    least = max(MIN_MEMORY_MB[name] for name in space.image_sets)
    return max(1, min(n_cores(), int(total_mb() // (TRAINER_OVERHEAD_MB + least))))


def resolve_limits(plan: StudyPlan, n_workers: int, image_set: str) -> Limits:
    """Resolve the limits: by default four fifths of this machine's memory, shared by its workers.

    Backbones are chosen by name, so only the user limits their parameters and operations.
    """
    share = 0.8 * total_mb() / n_workers - TRAINER_OVERHEAD_MB
    memory_mb = round(min(MAX_MEMORY_MB, max(MIN_MEMORY_MB[image_set], share)))
    search, is_scratch = plan.search, image_set == "scratch"
    operations = OPERATIONS_PER_PIXEL * plan.data.image_size**2 if is_scratch else None
    if search.max_operations is not None:
        operations = 1e6 * search.max_operations
    return Limits(
        max_parameters=search.max_parameters or (defaults.MAX_PARAMETERS if is_scratch else None),
        max_memory_mb=search.max_memory or memory_mb,
        max_operations=None if operations is None else round(operations),
    )
