"""TOML of others: parsed with limits, so that no value surprises whoever checks or shows it."""

import tomllib
from typing import Any

from search.errors import SettingsError
from spaces.wording import shorten

MAX_TEXT = 1000
"""Characters of a key or a text: paths and URLs are shorter."""
MAX_DEPTH = 10
INTEGER_LIMIT = 2**63  # TOML's own


def parse_toml(text: str, where: object) -> dict[str, Any]:
    """Parse a TOML document; `where` names it in errors.

    Raises:
        SettingsError: If it is not valid TOML, or has a number, a text or a nesting that no
            setting has.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits.
        raise SettingsError(f"{where} is not valid TOML: {shorten(str(error))}.") from error
    if (fault := _find_fault(document, depth=0)) is not None:
        raise SettingsError(f"{where} cannot be used: {fault}.")
    return document


def _find_fault(value: Any, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"expected tables and lists at most {MAX_DEPTH} deep"
    if isinstance(value, str) and (len(value) > MAX_TEXT or "\0" in value):
        return (
            f"expected texts of at most {MAX_TEXT:,} characters, none of them null. Received: "
            f"{shorten(repr(value), 60)}"
        )
    if isinstance(value, int) and not -INTEGER_LIMIT <= value < INTEGER_LIMIT:
        return "expected whole numbers of at most 64 bits"
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        faults = (_find_fault(item, depth + 1) for item in value)
        return next((fault for fault in faults if fault is not None), None)
    return None
