"""The default store of a command; no library is loaded for it."""

import os

from search import defaults


def store_url(given: str | None) -> str:
    """Return the store's URL: the given one, `$CONVSEARCH_STORE`, or a file in this folder."""
    return given or os.environ.get("CONVSEARCH_STORE") or defaults.STORE_URL
