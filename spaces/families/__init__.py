"""The families of networks that a study may search, one file each; all files are loaded."""

import importlib
import pkgutil

from spaces.families.registry import (
    Family,
    builtin_families,
    default_families,
    family_names,
    find_family,
    register_family,
)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Family",
    "builtin_families",
    "default_families",
    "family_names",
    "find_family",
    "register_family",
]
