"""The next command after one that was given, and its options."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from search.settings.option_keys import OPTION_KEYS, Options


def needed_options(store_url: str | None, *, trusts_modules: bool = False) -> str:
    """Return the options with a leading space, quoted for a shell; empty if none is needed.

    `store_url` is without its password, and empty or None for the default store.
    """
    place = f" --store {quote(store_url)}" if store_url else ""
    return f"{place}{' --trust-modules' if trusts_modules else ''}"


def search_command(source: str, given: Options, guessed: Mapping[str, str]) -> str:
    """Return the `convsearch run` that searches with given and guessed options of `[data]`."""
    values = {
        name: given[keys[0]]
        for name, keys in OPTION_KEYS.items()
        if keys[0] in given and given[keys[0]] is not None
    }
    options = (_as_words(name, value) for name, value in {**values, **guessed}.items())
    return " ".join(("convsearch run", quote(source), *(" ".join(it) for it in options)))


def _as_words(name: str, value: Any) -> Sequence[str]:
    """Return an option as it is given on a command line, quoted for a shell."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else []
    text = quote(_as_text(value))
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        separator = "," if all(isinstance(it, str) for it in value.values()) else ";"
        return separator.join(f"{key}={_as_text(it)}" for key, it in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)
