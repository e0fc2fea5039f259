"""What may be searched, and how a sampled configuration becomes a network.

Importing this does not load Keras: `spaces.models` does, once something is built.
"""

from spaces.config import Config
from spaces.cost import Cost, predict_cost
from spaces.drawing import DrawnLayer, draw_network
from spaces.errors import SpaceError
from spaces.families import Family, family_names, find_family, register_family
from spaces.limits import Limits
from spaces.modules import FamilyModule, choose_families, locate_module, module_of
from spaces.space import SearchSpace

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
