"""Compatibility of studies: versions and settings must be equal, files may move."""

import secrets
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from search.artifacts.stores import is_folder
from search.data import DataSettings
from search.errors import StudyMismatchError
from search.machine.package_versions import find_versions
from search.settings.stored import StudySettings, WeightsFile
from spaces import FamilyModule, SearchSpace


def check_compatible(
    name: str, known: StudySettings, settings: StudySettings, space: SearchSpace
) -> None:
    """Check that a study may be resumed with these settings; list the differences otherwise."""
    differences = []
    for image_set in known.images.keys() & settings.images.keys():
        stored, current = (it.images[image_set].fingerprint for it in (known, settings))
        if stored != current:
            differences.append(
                f"its images: {_describe(known, image_set)} there, "
                f"{_describe(settings, image_set)} here (fingerprints {stored[:12]} and "
                f"{current[:12]}; {_why_images_differ(known.data, settings.data)})"
            )
    differences += _weights_differences(known.weights, settings.weights)
    differences += _module_differences(known.modules, settings.modules)
    if _digests(known.modules) == _digests(settings.modules):
        differences += space.differences(SearchSpace.from_json(known.space))
    for table in ("training", "search"):
        stored, current = getattr(known, table).model_dump(), getattr(settings, table).model_dump()
        differences += _table_differences(stored, current)
    if differences:
        raise StudyMismatchError(
            f"A study {name!r} exists with other settings: {'; '.join(differences)}. "
            "Give this one another name with --study."
        )


def _describe(settings: StudySettings, image_set: str) -> str:
    data = settings.data
    size = settings.transfer.image_size if image_set == "transfer" else data.image_size
    return f"{data.source} at {size} px, seed {data.seed}"


def _why_images_differ(known: DataSettings, current: DataSettings) -> str:
    """Name the settings of images that differ, or what else it can be."""
    described = {"source", "image_size", "seed"}
    found = _table_differences(
        known.model_dump(exclude=described), current.model_dump(exclude=described)
    )
    return ", ".join(found) or "the files differ, or an earlier version prepared them otherwise"


def _weights_differences(stored: WeightsFile | None, current: WeightsFile | None) -> list[str]:
    if (
        stored is None
        or current is None
        or (stored.digest, stored.mode) == (current.digest, current.mode)
    ):
        return []  # The file may move; other families are reported elsewhere.
    names = [f"{it.source} ({it.mode}, SHA-256 {it.digest[:12]})" for it in (stored, current)]
    return [f"`weights`: {names[0]} there, {names[1]} here"]


def _digests(modules: Sequence[FamilyModule]) -> list[str]:
    return [module.sha256 for module in modules]


def _module_differences(
    stored: Sequence[FamilyModule], current: Sequence[FamilyModule]
) -> list[str]:
    if _digests(stored) == _digests(current):  # The files may move.
        return []
    names = [
        ", ".join(f"{module.source} ({module.sha256[:12]})" for module in modules) or "none"
        for modules in (stored, current)
    ]
    return [f"`modules`: {names[0]} there, {names[1]} here"]


def _table_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    return [
        f"`{key}`: {stored[key]} there, {current[key]} here"
        for key in current
        if stored.get(key) != current[key]
    ]


def with_current_locations(
    known: StudySettings, settings: StudySettings, *, is_artifacts_given: bool
) -> StudySettings:
    """Return the known settings with the current locations of their files."""
    names = ["images", "weights", "modules", "max_files_mb"]
    is_there = not is_folder(known.artifacts) or Path(known.artifacts).is_dir()
    if known.artifacts != settings.artifacts and (is_artifacts_given or not is_there):
        names += ["artifacts", "artifacts_folder"]
    return known.model_copy(update={name: getattr(settings, name) for name in names})


PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def installed_versions() -> dict[str, str]:
    """Return the installed versions of convsearch and Optuna."""
    return {name: version(name) for name in ("convsearch", "optuna")}


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect results, by name."""
    return {"python": python_version(), **find_versions(PACKAGES)}


def version_stamp() -> dict[str, Any]:
    """Return the settings that distinguish a study from an equal one created elsewhere."""
    installed = installed_versions()
    return {
        "version": installed["convsearch"],
        "optuna": installed["optuna"],
        "versions": package_versions(),
        "creation": secrets.token_hex(16),
    }


def check_versions(settings: StudySettings) -> None:
    """Check that a study is of this machine's series of convsearch and Optuna.

    Raises:
        StudyMismatchError: If it is of another one.
    """
    stored = {"convsearch": settings.version, "optuna": settings.optuna}
    for name, installed in installed_versions().items():
        recorded = stored[name]
        if recorded is not None and _series(recorded) != _series(installed):
            raise StudyMismatchError(
                f"The study was made with {name} {recorded}, and this machine has "
                f"{installed}. Install {name} {_series(recorded)} here (pip install "
                f"'{name}=={_series(recorded)}.*'), or name a new study with --study."
            )


def _series(text: str) -> str:
    """Return the major version, and before 1.0 the minor version with it."""
    major, _, rest = text.partition(".")
    return f"0.{rest.partition('.')[0]}" if major == "0" else major
