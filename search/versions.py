"""Versions of convsearch and Optuna that may work on one study together."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from search.errors import StudyMismatchError
from search.settings import StudySettings

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def here() -> dict[str, str]:
    """The versions of this machine, by package."""
    return {name: version(name) for name in ("convsearch", "optuna")}


def packages_here() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on, by name."""
    found = {"python": python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def check_versions(settings: StudySettings) -> None:
    """Refuses a study of another convsearch or Optuna series than this machine's.

    Raises:
        StudyMismatchError: If one differs; the message has both.
    """
    there = {"convsearch": settings.version, "optuna": settings.optuna}
    for name, ours in here().items():
        theirs = there[name]
        if theirs is not None and _series(theirs) != _series(ours):
            raise StudyMismatchError(
                f"The study was made with {name} {theirs}, and this machine has {ours}. Install "
                f"{name} {_series(theirs)} here (pip install '{name}=={_series(theirs)}.*'), or "
                "name a new study with --study."
            )


def _series(text: str) -> str:
    """What must be equal: the major version, and before 1.0 the minor one as well."""
    major, _, rest = text.partition(".")
    return f"0.{rest.partition('.')[0]}" if major == "0" else major
