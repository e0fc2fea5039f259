"""Messages about invalid values: expected and received."""

from collections.abc import Mapping, Sequence
from typing import Any

from spaces.wording import did_you_mean, shorten

_MESSAGES = {
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "model_type": "a table",
    "dict_type": "a table",
}
"""By pydantic's error types."""


def suggest_name(name: str, known: Sequence[str], otherwise: str = "") -> str:
    """Return a hint with the nearest known name, or with all names."""
    near = did_you_mean(name, known, cutoff=0.5)
    return f" {near[0].upper()}{near[1:]}" if near else otherwise or f" Known: {', '.join(known)}."


def describe_error(error: Mapping[str, Any], received: str | None = None) -> str:
    """Describe a pydantic error; `received` is the value in words, by default its repr."""
    value = shorten(repr(error["input"]) if received is None else received)
    text = _MESSAGES.get(error["type"], "").format(**error.get("ctx", {})) or error["msg"]
    text = text.removeprefix("Value error, ").removeprefix("Input should be ")
    text = text.replace(f"{error['input']!r} is not one of ", "one of ").rstrip(".")
    if not text.startswith("Expected"):
        text = f"expected {text}"
    return f"{text}." if "Received" in text else f"{text}. Received: {value}."
