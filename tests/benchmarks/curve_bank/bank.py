"""Recorded learning curves, as `record` writes them, by set of images and size."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from spaces.parameters.domain_types import Choices, Domain
from tests.benchmarks.curve_bank.record import CURVES, TRANSFER_SIZE

UNLIKE = 1.0
"""The distance of two values of a parameter that differ in kind, or that only one network has."""


class Curve(NamedTuple):
    """One training: validation accuracy and seconds of each epoch."""

    accuracies: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A network with its curves by seed of the training."""

    family: str
    number: int
    params: Mapping[str, Any] = field(hash=False)
    curves: dict[int, Curve] = field(default_factory=dict, hash=False)

    def best(self, seed: int) -> float:
        """Return the best validation accuracy of a training."""
        return max(self.curves[seed].accuracies, default=0.0)


Pool = Sequence[Network]
"""The networks of all families on one set of images."""


def read_pools(path: Path = CURVES) -> dict[tuple[str, int], Pool]:
    """Return the networks that were trained from all seeds, by set and size.

    Those of the family transfer belong to every size: they see images of their own.
    """
    found: dict[tuple[str, int], dict[tuple[str, int], Network]] = defaultdict(dict)
    for record in map(json.loads, path.read_text().splitlines()):
        networks = found[record["set_name"], record["size"]]
        key = record["family"], record["number"]
        params = {"family": record["family"], **record["params"]}
        network = networks.setdefault(key, Network(*key, params))
        accuracies = tuple(n / record["n_val"] for n in record["correct"])
        network.curves[record["seed"]] = Curve(accuracies, tuple(record["seconds"]))
    whole = {
        key: [it for it in networks.values() if len(it.curves) > 1]
        for key, networks in found.items()
    }
    return {
        (name, size): [*networks, *whole.get((name, TRANSFER_SIZE), [])]
        for (name, size), networks in whole.items()
        if size != TRANSFER_SIZE
    }


def nearest(pool: Pool, wanted: Mapping[str, Any], domains: Mapping[str, Domain]) -> Network:
    """Return the network of the wanted family that is most like the wanted one."""
    family = [it for it in pool if it.family == wanted["family"]]
    return min(family, key=lambda it: _distance(it.params, wanted, domains))


def _distance(
    params: Mapping[str, Any], others: Mapping[str, Any], domains: Mapping[str, Domain]
) -> float:
    names = params.keys() | others.keys()
    return sum(
        _difference(domains[name], params[name], others[name])
        if name in params and name in others
        else UNLIKE
        for name in names
        if name in domains
    )


def _difference(domain: Domain, value: Any, other: Any) -> float:
    """Return how far two values are apart, as a share of the domain."""
    if isinstance(domain, Choices):
        numbers = sorted(it for it in domain.values if isinstance(it, int | float))
        if len(numbers) < len(domain.values) or isinstance(value, bool):
            return UNLIKE * (value != other)
        return abs(numbers.index(value) - numbers.index(other)) / max(1, len(numbers) - 1)
    return abs(place(domain, value) - place(domain, other))


def place(domain: Domain, value: float) -> float:
    """Return where a number lies in its range, 0 to 1, on the range's own scale."""
    if isinstance(domain, Choices):
        raise TypeError(f"Expected a range. Received: {domain}.")
    low, high = domain.low, domain.high
    if domain.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0
