"""What a note tells of a study's settings, read from their JSON whatever it holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from storage import StudyRecord


@dataclass(frozen=True, slots=True)
class Settings:
    """Some settings of a study; those that are not there, or not as expected, are empty.

    `domains` are the records of parameters' ranges by name; `confirms` is the study whose configs
    are trained again.
    """

    families: tuple[str, ...] = ()
    domains: Mapping[str, Any] = field(default_factory=dict)
    max_epochs: int | None = None
    confirms: str = ""

    @classmethod
    def read(cls, record: StudyRecord) -> "Settings":
        """Read the settings of a study; a study of Optuna alone has none."""
        return _read(record.settings)


@lru_cache(maxsize=16)
def _read(text: str) -> Settings:
    try:
        found = json.loads(text)
    except ValueError:
        return Settings()
    space, training = _part(found, "space"), _part(found, "training")
    families, epochs, confirms = (
        space.get("families"),
        training.get("max_epochs"),
        _as_mapping(found).get("confirms"),
    )
    return Settings(
        families=tuple(map(str, families)) if isinstance(families, list) else (),
        domains=_part(space, "domains"),
        max_epochs=epochs if isinstance(epochs, int) else None,
        confirms=confirms if isinstance(confirms, str) else "",
    )


def _part(found: object, name: str) -> Mapping[str, Any]:
    return _as_mapping(_as_mapping(found).get(name))


def _as_mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
