"""Which store a command means where none is named."""

import os

DEFAULT_STORE = "sqlite:///convsearch.db"


def store_url(given: str | None) -> str:
    """Gives the store's URL: the given one, `$CONVSEARCH_STORE`, or a file in this folder."""
    return given or os.environ.get("CONVSEARCH_STORE") or DEFAULT_STORE
