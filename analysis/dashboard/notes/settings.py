"""The settings of a study that notes need, read leniently from their JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from storage import StudyRecord


@dataclass(frozen=True, slots=True)
class Settings:
    """Some settings of a study; missing or malformed ones are empty.

    `domains` are the ranges of parameters by name; `confirms` is the confirmed study;
    `has_modules` is whether it searches families of modules.
    """

    families: tuple[str, ...] = ()
    domains: Mapping[str, Any] = field(default_factory=dict)
    max_epochs: int | None = None
    confirms: str = ""
    has_modules: bool = False

    @classmethod
    def read(cls, record: StudyRecord) -> "Settings":
        """Read the settings of a study; a plain Optuna study has none."""
        return _read(record.settings)


@lru_cache(maxsize=16)
def _read(text: str) -> Settings:
    try:
        found = json.loads(text)
    except ValueError:
        return Settings()
    space, training = _part(found, "space"), _part(found, "training")
    families, epochs = space.get("families"), training.get("max_epochs")
    confirms = _as_mapping(found).get("confirms")
    return Settings(
        families=tuple(map(str, families)) if isinstance(families, list) else (),
        domains=_part(space, "domains"),
        max_epochs=epochs if isinstance(epochs, int) else None,
        confirms=confirms if isinstance(confirms, str) else "",
        has_modules=bool(_as_mapping(found).get("modules")),
    )


def _part(found: object, name: str) -> Mapping[str, Any]:
    return _as_mapping(_as_mapping(found).get(name))


def _as_mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
