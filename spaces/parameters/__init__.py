"""Domains of parameters, also for users' own families, and how they are drawn and narrowed."""

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
