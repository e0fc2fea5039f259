"""What a parameter may be, how a trial draws it, and how a study file narrows it.

The domains are public: users' own families import them from here. Networks live in
`spaces.models`, the space of a whole study in `spaces.search_space`.
"""

from spaces.parameters.domain_types import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    Trial,
    Value,
    domain_from_json,
    domain_to_json,
    show,
)

__all__ = [
    "Choices",
    "Domain",
    "FloatRange",
    "IntRange",
    "Trial",
    "Value",
    "domain_from_json",
    "domain_to_json",
    "show",
]
