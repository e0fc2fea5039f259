"""Search spaces and the networks of their configs; Keras is loaded once one is built."""

from spaces.config import Config
from spaces.cost.cost_layers import DrawnLayer
from spaces.cost.estimate import Cost, draw_network, predict_cost
from spaces.cost.limits import Limits
from spaces.errors import SpaceError
from spaces.families import Family, family_names, find_family, register_family
from spaces.search_space import SearchSpace
from spaces.user_families import FamilyModule, choose_families, locate_module, module_of

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
