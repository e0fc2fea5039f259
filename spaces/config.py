"""One point of a search space as frozen values, and its JSON form."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter, ValidationError

from spaces.errors import SpaceError
from spaces.families import find_family
from spaces.models.layers import Network
from spaces.network_settings import Count, Head, LayerSettings, Optimizer
from spaces.wording import shorten


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that determines how a network is built and trained, except the seed.

    Only parameters with an effect are included: trials that differ in others have equal configs.
    """

    family: str
    network: Annotated[Network, PlainValidator(lambda record: record)]  # its family reads it
    head: Head
    layers: LayerSettings
    optimizer: Optimizer
    batch_size: Count
    augmentation: bool

    def to_json(self) -> dict[str, Any]:
        """Return the config as a JSON object for `from_json`."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Config":
        """Read a config from a record of `to_json`.

        Raises:
            SpaceError: If the record is not one of a config of a known family.
        """
        config: Config = _parse(cls, record)
        family = find_family(config.family)
        config = replace(config, network=_parse(family.network, record["network"]))
        parsed = config.to_json()
        if other := [key for key in record if record[key] != parsed.get(key)]:
            raise SpaceError(
                f"Expected the record of a config without unknown keys. "
                f"Received some in: {', '.join(other)}."
            )
        return config

    def key(self) -> str:
        """Return a digest that is equal for equal configs on all machines."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_network(family: object, record: object) -> Network | None:
    """Read the record of a network; None if its family is not registered or cannot read it."""
    if not isinstance(family, str):
        return None
    try:
        network: Network = _parse(find_family(family).network, record)
    except (SpaceError, RecursionError, ValueError):
        return None
    return network


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _parse(kind: type[Any], record: object) -> Any:
    try:
        adapter = _adapter(kind)  # type: ignore[arg-type]  # mypy: type[Any] has no hash
        return adapter.validate_json(json.dumps(record), strict=True)
    except (ValidationError, TypeError) as error:
        raise SpaceError(
            f"Expected the record of a config. Received: {_first_problem(error)}."
        ) from error


def _first_problem(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors()[0]
    place = shorten(".".join(map(str, first["loc"]))) or "record"
    return f"`{place}` = {shorten(repr(first['input']))} ({first['msg']})"
