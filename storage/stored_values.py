"""Values that a store holds as text: one that cannot be read is an error of the store."""

import json
from typing import Any

from storage.errors import StoreDamagedError

MAX_TEXT = 60
"""Characters of a damaged value that a message shows."""


def parse_json(text: str) -> Any:
    """Parse a value of the store.

    Raises:
        StoreDamagedError: If it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged_value(text) from error


def parse_object(text: str) -> dict[str, Any]:
    """Parse a value of the store as a JSON object.

    Raises:
        StoreDamagedError: If it is none.
    """
    found = parse_json(text)
    if not isinstance(found, dict):
        raise damaged_value(text)
    return found


def damaged_value(text: object, place: str = "") -> StoreDamagedError:
    """Return the error for a value that neither convsearch nor Optuna writes."""
    shown = repr(text[:MAX_TEXT] if isinstance(text, str | bytes) else text)
    return StoreDamagedError(
        f"The store is damaged: it holds {shown}{place and f' {place}'}, which cannot be read. "
        "Restore a backup of it."
    )
