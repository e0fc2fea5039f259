"""Limits on the cost of a network, checked before it is built."""

from collections.abc import Iterable
from dataclasses import dataclass

from spaces.config import Config
from spaces.cost.estimate import Cost, predict_cost
from spaces.errors import SpaceError


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on weights, training memory and operations per image; None for no bound."""

    max_parameters: int | None = None
    max_memory_mb: float | None = None
    max_operations: int | None = None

    def excess(self, cost: Cost) -> str | None:
        """Return the first exceeded limit as a sentence, or None."""
        for value, limit, unit, _ in self._rows(cost):
            if value > limit:
                return f"{_format(value)} {unit} are over the limit of {_format(limit)}"
        return None

    def overrun(self, cost: Cost) -> float:
        """Return the share by which a cost exceeds its tightest limit; 0 or less fits."""
        return max((value / limit - 1.0 for value, limit, _, _ in self._rows(cost)), default=-1.0)

    def too_low_error(self, costs: list[Cost]) -> SpaceError:
        """Return an error that names a limit exceeded by all of these costs."""
        rows = self._rows(costs[0])
        for place, (_, limit, unit, option) in enumerate(rows):
            smallest = min(self._rows(cost)[place][0] for cost in costs)
            if smallest > limit:
                return SpaceError(
                    f"Expected {option} that some network of the space keeps. Received: "
                    f"{_format(limit)}; the smallest of {len(costs)} networks tried takes "
                    f"{_format(smallest)} {unit}."
                )
        given = ", ".join(f"{option} {_format(limit)}" for _, limit, _, option in rows)
        return SpaceError(
            f"Expected limits that some network of the space keeps together; none of "
            f"{len(costs)} networks tried does. Received: {given}."
        )

    def _rows(self, cost: Cost) -> list[tuple[float, float, str, str]]:
        """Return value, limit, unit and option of each limit, in the option's unit."""
        rows = [
            (cost.parameters, self.max_parameters, 1, "parameters", "--max-parameters"),
            (cost.memory_mb, self.max_memory_mb, 1, "MB of memory", "--max-memory"),
            (cost.operations, self.max_operations, 1e6, "million operations", "--max-operations"),
        ]
        return [
            (value / scale, limit / scale, unit, option)
            for value, limit, scale, unit, option in rows
            if limit is not None
        ]


def _format(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def check_some_fit(
    configs: Iterable[Config], image_shape: tuple[int, int, int], n_classes: int, limits: Limits
) -> None:
    """Raise a `SpaceError` if no config fits the images and keeps the limits."""
    costs: list[Cost] = []
    has_tried = False
    for config in configs:
        has_tried = True
        try:
            cost = predict_cost(config, image_shape, n_classes)
        except SpaceError:
            continue
        except (Exception, SystemExit):  # A user's family is broken; its trials record the error.
            return
        if limits.excess(cost) is None:
            return
        costs.append(cost)
    if costs:
        raise limits.too_low_error(costs)
    if not has_tried:
        return
    height, width, _ = image_shape
    raise SpaceError(
        f"Expected images that some network of the space can pool. Received: {height}×{width} "
        f"pixels; raise --image-size, or take fewer stages or poolings in [space]."
    )
