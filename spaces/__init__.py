"""Search spaces and the networks of their configs.

Names are loaded on first use, and Keras once a network is built: commands start at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spaces.config import Config
    from spaces.cost.cost_layers import DrawnLayer
    from spaces.cost.estimate import Cost, draw_network, predict_cost
    from spaces.cost.limits import Limits
    from spaces.errors import SpaceError
    from spaces.families import Family, family_names, find_family, register_family
    from spaces.search_space import SearchSpace
    from spaces.user_families import FamilyModule, choose_families, locate_module, module_of

_MODULES = {
    "Config": "spaces.config",
    "Cost": "spaces.cost.estimate",
    "DrawnLayer": "spaces.cost.cost_layers",
    "Family": "spaces.families",
    "FamilyModule": "spaces.user_families",
    "Limits": "spaces.cost.limits",
    "SearchSpace": "spaces.search_space",
    "SpaceError": "spaces.errors",
    "choose_families": "spaces.user_families",
    "draw_network": "spaces.cost.estimate",
    "family_names": "spaces.families",
    "find_family": "spaces.families",
    "locate_module": "spaces.user_families",
    "module_of": "spaces.user_families",
    "predict_cost": "spaces.cost.estimate",
    "register_family": "spaces.families",
}

__all__ = [
    "Config",
    "Cost",
    "DrawnLayer",
    "Family",
    "FamilyModule",
    "Limits",
    "SearchSpace",
    "SpaceError",
    "choose_families",
    "draw_network",
    "family_names",
    "find_family",
    "locate_module",
    "module_of",
    "predict_cost",
    "register_family",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
