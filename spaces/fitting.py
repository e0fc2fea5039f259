"""Whether any network can be trained on images of some shape, checked before a study starts."""

from collections.abc import Iterable

from spaces.config import Config
from spaces.cost import Cost, predict_cost
from spaces.errors import SpaceError


def check_some_fit(
    configs: Iterable[Config],
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    max_parameters: int | None = None,
    max_memory_mb: float | None = None,
) -> None:
    """Refuses images that none of the networks can be trained on.

    Raises:
        SpaceError: If the images are too small for every network, or the limits too low.
    """
    costs: list[Cost] = []
    for config in configs:
        try:
            cost = predict_cost(config, image_shape, n_classes)
        except SpaceError:
            continue
        if cost.excess(max_parameters=max_parameters, max_memory_mb=max_memory_mb) is None:
            return
        costs.append(cost)
    if not costs:
        height, width, _ = image_shape
        raise SpaceError(
            f"Expected images that some network of the space can pool. Received: {height}×{width} "
            f"pixels; raise --image-size, or take fewer stages or poolings in [space]."
        )
    raise _limits_too_low(costs, max_parameters, max_memory_mb)


def _limits_too_low(
    costs: list[Cost], max_parameters: int | None, max_memory_mb: float | None
) -> SpaceError:
    parameters = min(cost.parameters for cost in costs)
    memory_mb = min(cost.memory_mb for cost in costs)
    if max_parameters is not None and parameters > max_parameters:
        return SpaceError(
            f"Expected a --max-parameters that some network of the space keeps. Received: "
            f"{max_parameters:,}; the smallest of {len(costs)} networks tried has {parameters:,}."
        )
    if max_memory_mb is not None and memory_mb > max_memory_mb:
        return SpaceError(
            f"Expected a --max-memory that some network of the space keeps. Received: "
            f"{max_memory_mb:,.0f} MB; the smallest of {len(costs)} networks tried takes "
            f"{memory_mb:,.0f} MB."
        )
    return SpaceError(
        f"Expected limits that some network of the space keeps together. Received: "
        f"--max-parameters {max_parameters:,} and --max-memory {max_memory_mb:,.0f} MB; "
        f"none of {len(costs)} networks tried keeps both."
    )
