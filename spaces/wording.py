"""Numbers and lists in a few words, for everything that users see."""

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import TypeGuard

MAX_NUMBER = 10**18
"""Larger numbers are not sizes of anything here."""
MAX_ITEMS = 8
MAX_TEXT = 200
"""Characters of a value that an error repeats."""


def plural(n: int, word: str) -> str:
    """Return `1 trial` or `2 trials`."""
    ending = "es" if word.endswith("s") else "s"
    return f"{n:,} {word}{'' if n == 1 else ending}"


def join_words(words: Sequence[str]) -> str:
    """Return `a`, `a and b`, or `a, b, and c`."""
    if len(words) < 3:
        return " and ".join(words)
    return f"{', '.join(words[:-1])}, and {words[-1]}"


def first_of(names: Sequence[str], n: int = 3) -> str:
    """Return `a, b, c, ...`: the first names, and whether there are others."""
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")


def shorten(text: str, length: int = MAX_TEXT) -> str:
    """Return a text of at most so many characters, the first ones of a longer one."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def did_you_mean(name: str, known: Iterable[str], *, n: int = 1, cutoff: float = 0.6) -> str:
    """Return "did you mean `x`?" with at most `n` similar names, or an empty text."""
    near = difflib.get_close_matches(name, list(known), n=n, cutoff=cutoff)
    return f"did you mean {' or '.join(f'`{it}`' for it in near)}?" if near else ""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that can be shown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < MAX_NUMBER and math.isfinite(value)


def format_value(value: object) -> str:
    """Format a setting: floats with three significant digits, lists joined by commas."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        return str(value)
    if isinstance(value, list | tuple):
        ending = ", …" if len(value) > MAX_ITEMS else ""
        return ", ".join(map(format_value, value[:MAX_ITEMS])) + ending
    if isinstance(value, int):
        return f"{value:,}" if is_number(value) else "very many"
    return f"{value:.3g}"


def format_widths(word: str, widths: Sequence[int]) -> str:
    """Return `2 blocks of 16, 32 channels`."""
    return f"{plural(len(widths), word)} of {format_value(widths)} channels"


def format_dropout(rate: float) -> str:
    """Return `, block dropout 0.1`, or an empty text for a rate of 0."""
    return f", block dropout {format_value(rate)}" if rate else ""
