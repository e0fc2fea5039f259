"""Options of a command that the next command needs too."""

from shlex import quote


def needed_options(store_url: str | None, *, trusts_modules: bool = False) -> str:
    """Return the options with a leading space, quoted for a shell; empty if none is needed.

    `store_url` is without its password, and empty or None for the default store.
    """
    place = f" --store {quote(store_url)}" if store_url else ""
    return f"{place}{' --trust-modules' if trusts_modules else ''}"
