"""The default store of a command; no library is loaded for it."""

import os

from search import defaults


def store_url(given: str | None) -> str:
    """Return the given URL, else `$CONVSEARCH_STORE`, else a file in the current folder."""
    return given or os.environ.get("CONVSEARCH_STORE") or defaults.STORE_URL
