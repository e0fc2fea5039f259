"""Networks in words, from the records of their configs.

A family's network class may define the methods `summary` and `describe`. Without them, or if the
family is not registered in this process, the fields of the record are listed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from spaces.config import read_network
from spaces.wording import format_value

MAX_SUMMARY_FIELDS = 3


def summarize_network(family: object, record: object) -> str:
    """Return a network in a few words for a table, such as `3 stages`."""
    own_words = _in_own_words(family, record, "summary")
    if own_words is not None or not isinstance(record, Mapping):
        return own_words or ""
    fields = [item for item in record.items() if isinstance(item[1], str | int | float)]
    return _list_fields(fields[:MAX_SUMMARY_FIELDS])


def describe_network(family: object, record: object) -> str:
    """Return a network in a line, such as `1 block of 16 channels, each of 1 convolution`."""
    own_words = _in_own_words(family, record, "describe")
    if own_words is not None or not isinstance(record, Mapping):
        return own_words or ""
    return _list_fields(record.items())


def _in_own_words(family: object, record: object, method: str) -> str | None:
    network = read_network(family, record)
    try:
        return str(getattr(network, method)())
    except Exception:  # The method is missing, or is a user's and broken.
        return None


def _list_fields(fields: Iterable[tuple[Any, Any]]) -> str:
    return ", ".join(f"{str(name).replace('_', ' ')} {_brief(value)}" for name, value in fields)


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        return f"({_list_fields(value.items())})"
    if isinstance(value, list | tuple) and any(isinstance(it, Mapping | list) for it in value):
        return f"of {len(value)}"
    return format_value(value)
