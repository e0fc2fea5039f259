"""Installed versions of packages."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def find_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages, without those that are not installed.

    TensorFlow, for one, also has distributions of other names.
    """
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
