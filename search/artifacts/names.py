"""Names of artifacts: paths that stay inside their store, whatever kind it is."""

import re

MAX_LENGTH = 255
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def check_name(name: str) -> str:
    """Return the name back.

    Raises:
        ValueError: If it is not made of plain words, or is too long.
    """
    if len(name) > MAX_LENGTH or not all(map(_PART.fullmatch, name.split("/"))):
        raise ValueError(
            f"Expected a name of letters, digits and . _ - in parts with /, at most {MAX_LENGTH} "
            f"long. Received: {name[:300]!r}"
        )
    return name
