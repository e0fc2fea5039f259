"""How the `[space]` table of a study file narrows parameters: to a value, a list or a range."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spaces.errors import SpaceError
from spaces.parameters.domain_types import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    Value,
    domain_from_json,
    show,
)
from spaces.wording import did_you_mean, shorten

_NUMBERED = re.compile(r"[a-z]+\d+_(?P<shared>\w+)")


def narrow_domains(
    domains: Mapping[str, Domain], narrowed: Mapping[str, object]
) -> dict[str, Domain]:
    """Narrow domains by a `[space]` table.

    `channels` stands for `stage1_channels`, `stage2_channels` and so on; a numbered key overrides
    it.

    Raises:
        SpaceError: If a key is unknown, or its value does not narrow the parameter.
    """
    shared = {name: shared_key(name) for name in domains}
    known = {*domains, *shared.values()}
    for key in narrowed:
        _check_known(key, known)
    result = dict(domains)
    for name, domain in domains.items():
        key = name if name in narrowed else shared[name]
        if key in narrowed:
            result[name] = narrow(domain, key, narrowed[key])
    return result


def narrowing_value(domain: Domain) -> object:
    """Return the value in a study file that narrows a parameter to this domain."""
    if domain.is_fixed:
        return domain.first
    if isinstance(domain, Choices):
        return list(domain.values)
    return {"low": domain.low, "high": domain.high}


def narrow(domain: Domain, key: str, wanted: object) -> Domain:
    """Narrow a domain to one value, to a list, or by a table with `low`, `high` or both."""
    if isinstance(wanted, Mapping):
        return _narrow_to_range(domain, key, wanted)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return _narrow_to_list(domain, key, wanted)
    return _narrow_to_value(domain, key, wanted)


def contains(domain: Domain, value: object) -> bool:
    """Whether a parameter may take a value."""
    try:
        _value(domain, "", value)
    except SpaceError:
        return False
    return True


def shared_key(name: str) -> str:
    """Return the key that a numbered parameter shares with others, such as `channels`."""
    match = _NUMBERED.fullmatch(name)
    return match["shared"] if match else name


def _check_known(key: str, known: Iterable[str]) -> None:
    if key in known:
        return
    names = sorted(known)
    shown = sorted({shared_key(name) for name in names})
    hint = did_you_mean(key, names, cutoff=0.4) or f"known: {shorten(', '.join(shown), 400)}."
    raise SpaceError(
        f"Expected a parameter of the search space as a key of [space]. Received: `{key}`; {hint}"
    )


def _narrow_to_range(domain: Domain, key: str, wanted: Mapping[str, object]) -> Domain:
    if isinstance(domain, Choices):
        raise _narrowing_error(key, f"one value or a list from {domain}", wanted)
    if not wanted or set(wanted) - {"low", "high"}:
        raise _narrowing_error(key, "a table of `low`, `high` or both", wanted)
    low = _number_within(domain, key, wanted.get("low", domain.low))
    high = _number_within(domain, key, wanted.get("high", domain.high))
    if low > high:
        raise _narrowing_error(key, "a range whose `low` is not above its `high`", wanted)
    if isinstance(domain, IntRange):
        return replace(domain, low=int(low), high=int(high))
    return replace(domain, low=low, high=high)


def _narrow_to_list(domain: Domain, key: str, wanted: Sequence[object]) -> Choices:
    if not wanted:
        raise _narrowing_error(key, "at least one value", wanted)
    values = [_value(domain, key, value) for value in wanted]
    return Choices(tuple(dict.fromkeys(values)))


def _narrow_to_value(domain: Domain, key: str, wanted: object) -> Domain:
    return Choices((_value(domain, key, wanted),))


def _value(domain: Domain, key: str, wanted: object) -> Value:
    if not isinstance(domain, Choices):
        return _number_within(domain, key, wanted)
    for value in domain.values:
        if value == wanted and isinstance(wanted, bool) == isinstance(value, bool):
            return value
    raise _narrowing_error(key, f"values from {domain}", wanted)


def _number_within(domain: IntRange | FloatRange, key: str, wanted: object) -> int | float:
    expected = f"{'whole ' if isinstance(domain, IntRange) else ''}numbers within {domain}"
    kinds = (int,) if isinstance(domain, IntRange) else (int, float)
    if isinstance(wanted, bool) or not isinstance(wanted, kinds):
        raise _narrowing_error(key, expected, wanted)
    if not domain.low <= wanted <= domain.high:
        raise _narrowing_error(key, expected, wanted)
    if isinstance(domain, FloatRange):
        return float(wanted)
    if (wanted - domain.low) % domain.step:
        raise _narrowing_error(key, expected, wanted)
    return int(wanted)


def _narrowing_error(key: str, expected: str, wanted: object) -> SpaceError:
    return SpaceError(
        f"Expected `{key}` in [space] to be {expected}. Received: {shorten(_to_toml(wanted))}."
    )


def _to_toml(wanted: object) -> str:
    if isinstance(wanted, Mapping):
        pairs = ", ".join(f"{key} = {_to_toml(value)}" for key, value in wanted.items())
        return f"{{{pairs}}}"
    if isinstance(wanted, list | tuple):
        return f"[{', '.join(map(_to_toml, wanted))}]"
    return f'"{wanted}"' if isinstance(wanted, str) else show(wanted)


def describe_domains(records: Mapping[str, Any]) -> dict[str, str]:
    """Describe the values of parameters, given as JSON; equal numbered ones are listed once.

    Raises:
        SpaceError: If a record is not one of a domain.
    """
    texts = {name: str(domain_from_json(record)) for name, record in records.items()}
    by_key: dict[str, set[str]] = {}
    for name, text in texts.items():
        by_key.setdefault(shared_key(name), set()).add(text)
    return {
        shared_key(name) if len(by_key[shared_key(name)]) == 1 else name: text
        for name, text in texts.items()
    }
