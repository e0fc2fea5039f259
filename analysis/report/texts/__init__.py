"""Texts of the report by language, and numbers in the format of the language.

A text is a string with `{placeholders}`, or one string per plural form if it counts something.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "ru")
NARROW_NO_BREAK_SPACE = "\u202f"
NO_BREAK_SPACE = "\u00a0"
"""Between a number and its percent sign."""
MINUTE_S, HOUR_S = 60, 3600
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Entry = str | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one language by key, as `result.title`."""

    lang: str
    entries: Mapping[str, Entry]

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def say(self, key: str, **values: object) -> str:
        """Return a text with its placeholders filled; numbers have the format of the language.

        Raises:
            KeyError: If there is no such text, or a placeholder without a value.
        """
        entry = self.entries[key]
        if not isinstance(entry, str):
            raise KeyError(f"{key} counts something: use `count`.")
        return entry.format(**self._formatted(values))

    def count(self, key: str, n: int, **values: object) -> str:
        """Return a text about `n` things in the right plural form; errors are those of `say`."""
        forms = self.entries[key]
        if isinstance(forms, str):
            raise KeyError(f"{key} counts nothing: use `say`.")
        return forms[plural_form(self.lang, n)].format(n=self.number(n), **self._formatted(values))

    def number(self, value: float | None, digits: int | None = None) -> str:
        """Return a number with `digits` decimals, or as many as it needs; a dash for None."""
        if value is None or not math.isfinite(value):
            return "–"
        if digits is not None:
            written = f"{value:,.{digits}f}"
        elif isinstance(value, int) or float(value).is_integer():
            written = f"{value:,.0f}"
        else:
            written = _scientific(f"{value:.4g}")
        written = written.replace("-", "−")
        if self.lang != "ru":
            return written
        return written.replace(",", NARROW_NO_BREAK_SPACE).replace(".", ",")

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Return a share from 0 to 1 as a percentage."""
        if share is None or not math.isfinite(share):
            return "–"
        return f"{self.number(100 * share, digits)}{NO_BREAK_SPACE}%"

    def value(self, value: object) -> str:
        """Return the value of a parameter or a setting; yes or no for a boolean."""
        if isinstance(value, bool):
            return self.say("word.yes" if value else "word.no")
        if isinstance(value, float):
            return self.number(value)
        return "–" if value is None else str(value)

    def duration(self, seconds: float) -> str:
        """Return a duration in seconds, minutes or hours."""
        if seconds < MINUTE_S:
            return self.say("unit.seconds", n=self.number(seconds, 1 if seconds < 10 else 0))
        if seconds < HOUR_S:
            return self.say("unit.minutes", n=self.number(seconds / MINUTE_S, 1))
        return self.say("unit.hours", n=self.number(seconds / HOUR_S, 1))

    def _formatted(self, values: Mapping[str, Any]) -> dict[str, object]:
        return {
            name: self.number(value)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else value
            for name, value in values.items()
        }


@cache
def texts(lang: str, part: str = "") -> Texts:
    """Return the texts of a language, for the page or for `part`, such as `notebook`.

    Raises:
        ValueError: If there are none in that language.
    """
    if lang not in LANGUAGES:
        raise ValueError(f"--lang: expected {' or '.join(LANGUAGES)}. Received: {lang}")
    name = f"{part}.{lang}.json" if part else f"{lang}.json"
    written = files(__name__).joinpath(name).read_text(encoding="utf-8")
    return Texts(lang, json.loads(written.replace(" %", f"{NO_BREAK_SPACE}%")))


def _scientific(written: str) -> str:
    """Return `2e-06` as `2 × 10⁻⁶`."""
    mantissa, sign, exponent = written.partition("e")
    if not sign:
        return written
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def plural_form(lang: str, n: int) -> str:
    """Return the plural form of `n`: `one` or `other`; in Russian `one`, `few` or `many`.

    Source: Unicode CLDR, Language Plural Rules, cardinal forms of integers.
    """
    if lang != "ru":
        return "one" if n == 1 else "other"
    last, last_two = abs(n) % 10, abs(n) % 100
    if last == 1 and last_two != 11:
        return "one"
    return "few" if last in {2, 3, 4} and last_two not in {12, 13, 14} else "many"
